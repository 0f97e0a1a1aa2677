"use strict";
// Lines with bands, or dots, as an SVG element of a page.

const BOX = { wide: 340, tall: 190, left: 46, right: 10, top: 12, bottom: 34 };

// Three significant digits, without an exponent where that is short.
function digits(value) {
  return value === 0 ? "0" : String(Number(value.toPrecision(3)));
}

// series: [{label, colour, mean, low, high}] over `x`; dots: [[x, y, ...]]; levels: [[y, label]];
// mark: an x to draw a line at. Returns SVG text.
function chart({ title, axis, x, series = [], dots = [], levels = [], mark = null, most = null }) {
  const ys = [...series.flatMap((s) => [...(s.low || s.mean), ...(s.high || s.mean)]),
    ...dots.flatMap((d) => d.ys), ...levels.map((l) => l[0])];
  const high = most ?? (Math.max(...ys) * 1.05 || 1), spare = dots.length ? 0.5 : 0;
  const last = x[x.length - 1] + spare, first = x[0] - spare;
  const right = (v) => BOX.left + ((v - first) / (last - first || 1)) * (BOX.wide - BOX.left - BOX.right);
  const down = (v) => BOX.tall - BOX.bottom - (v / high) * (BOX.tall - BOX.top - BOX.bottom);
  const path = (v, w = x) => v.map((y, i) => `${right(w[i]).toFixed(1)},${down(y).toFixed(1)}`).join(" ");
  const parts = [];
  for (const share of [0, 0.5, 1]) {
    const v = share * (most ?? high), y = down(v).toFixed(1);
    parts.push(`<line class="rule" x1="${BOX.left}" x2="${BOX.wide - BOX.right}" y1="${y}" y2="${y}"/>`);
    parts.push(`<text x="${BOX.left - 5}" y="${Number(y) + 4}" text-anchor="end">${digits(v)}</text>`);
  }
  for (const v of dots.length ? x : [first, last]) {
    const said = dots.length ? dots[x.indexOf(v)].label : digits(v);
    const anchor = dots.length ? "middle" : v === first ? "start" : "end";
    parts.push(`<text x="${right(v)}" y="${BOX.tall - 18}" text-anchor="${anchor}">${said}</text>`);
  }
  parts.push(`<text x="${(BOX.left + BOX.wide) / 2}" y="${BOX.tall - 3}" text-anchor="middle">${axis}</text>`);
  for (const [v, label] of levels) {
    parts.push(`<line class="level" x1="${BOX.left}" x2="${BOX.wide - BOX.right}" y1="${down(v)}" y2="${down(v)}"/>`);
    parts.push(`<text x="${BOX.wide - BOX.right}" y="${down(v) - 4}" text-anchor="end">${label}</text>`);
  }
  if (mark !== null)
    parts.push(`<line class="mark" x1="${right(mark)}" x2="${right(mark)}" y1="${BOX.top}" y2="${BOX.tall - BOX.bottom}"/>`);
  for (const { colour, mean, low, high } of series) {
    if (low) {
      const back = [...x].reverse();
      parts.push(`<polygon points="${path(high)} ${path([...low].reverse(), back)}" fill="var(--${colour})" opacity=".2"/>`);
    }
    parts.push(`<polyline points="${path(mean)}" fill="none" stroke="var(--${colour})" stroke-width="2"/>`);
  }
  dots.forEach(({ ys }, i) => {
    const mean = ys.reduce((a, b) => a + b, 0) / ys.length, at = right(x[i]);
    ys.forEach((y, k) => parts.push(`<circle cx="${at - 6 + 3 * k}" cy="${down(y)}" r="2.6" class="dot"/>`));
    parts.push(`<line class="mean" x1="${at - 11}" x2="${at + 11}" y1="${down(mean)}" y2="${down(mean)}"/>`);
  });
  const key = series.filter((s) => s.label).map((s) => `<span style="--own: var(--${s.colour})">${s.label}</span>`).join(" ");
  return `<h4>${title}</h4><p class="key">${key}</p>` +
    `<svg viewBox="0 0 ${BOX.wide} ${BOX.tall}" role="img" aria-label="${title}">${parts.join("")}</svg>`;
}
