"use strict";
// A surface over the plane with points on it, drawn on a 2D canvas and turned by hand or by keys.

const HEIGHT = 0.9; // of the palest shade, in half sides of the square

class Surface {
  // `asked` hears of what the reader does: `drop(x, y)` at a click, `turned()` after a turn.
  constructor(canvas, { domain, shades, point }, asked = {}) {
    Object.assign(this, { canvas, wall: domain.wall, shades, point, asked });
    Object.assign(this, { yaw: 0.6, pitch: 0.95, n: 0, points: [], colour: "height", temperature: 1 });
    this._listen();
    new ResizeObserver(() => this.draw()).observe(canvas);
  }

  // Energies at n x n points; `top` above the lowest is the palest shade.
  show(field, n, top) {
    const least = field.reduce((a, b) => Math.min(a, b));
    this.heights = field.map((E) => Math.min((E - least) / top, 1));
    Object.assign(this, { field, least, n, top });
    this.draw();
  }

  // (x, y, height) -> pixels right and down of the canvas's corner.
  project(x, y, height) {
    const [c, s] = [Math.cos(this.yaw), Math.sin(this.yaw)];
    const across = (c * x - s * y) / this.wall, deep = (s * x + c * y) / this.wall;
    const up = deep * Math.sin(this.pitch) + height * HEIGHT * Math.cos(this.pitch);
    return [this.wide / 2 + across * this.scale, this.tall * this.middle - up * this.scale];
  }

  draw() {
    if (!this.n) return;
    const ratio = window.devicePixelRatio || 1, box = this.canvas.getBoundingClientRect();
    if (!box.width) return;
    Object.assign(this, { wide: box.width, tall: box.height });
    this.scale = Math.min(this.wide / 2.9, this.tall / 2.6);
    this.middle = 0.5 + (0.85 * HEIGHT * Math.cos(this.pitch) * this.scale) / this.tall;
    for (const [side, size] of [["width", this.wide], ["height", this.tall]])
      if (this.canvas[side] !== Math.round(size * ratio)) this.canvas[side] = Math.round(size * ratio);
    const ink = this.canvas.getContext("2d");
    ink.setTransform(ratio, 0, 0, ratio, 0, 0);
    ink.clearRect(0, 0, this.wide, this.tall);
    const { n } = this, cells = n - 1, at = this._corners(), own = this._byCell();
    // From the back to the front: which way that is, the yaw says.
    const [rows, columns] = [-Math.sin(this.yaw), -Math.cos(this.yaw)];
    const order = (d, i) => (d < 0 ? cells - 1 - i : i);
    const outer = (i, j) => [order(rows, i), order(columns, j)];
    for (let i = 0; i < cells; i++)
      for (let j = 0; j < cells; j++) this._cell(ink, at, own, ...outer(i, j));
  }

  _corners() {
    const { n, wall } = this, at = new Float64Array(2 * n * n);
    for (let k = 0; k < n * n; k++) {
      const [i, j] = [Math.floor(k / n), k % n];
      const place = (c) => wall * ((2 * c) / (n - 1) - 1);
      at.set(this.project(place(i), place(j), this.heights[k]), 2 * k);
    }
    return at;
  }

  _byCell() {
    const own = new Map(), cells = this.n - 1;
    for (const [x, y] of this.points) {
      const [u, v] = [x, y].map((c) => ((c / this.wall + 1) / 2) * cells);
      const [i, j] = [u, v].map((c) => Math.min(cells - 1, Math.max(0, Math.floor(c))));
      const key = i * cells + j;
      if (!own.has(key)) own.set(key, []);
      own.get(key).push([x, y, this._between(i, j, u - i, v - j)]);
    }
    return own;
  }

  _between(i, j, a, b) {
    const h = (i, j) => this.heights[i * this.n + j];
    [a, b] = [a, b].map((c) => Math.min(1, Math.max(0, c)));
    return (1 - a) * ((1 - b) * h(i, j) + b * h(i, j + 1)) + a * ((1 - b) * h(i + 1, j) + b * h(i + 1, j + 1));
  }

  _cell(ink, at, own, i, j) {
    const { n } = this, corners = [i * n + j, (i + 1) * n + j, (i + 1) * n + j + 1, i * n + j + 1];
    const mean = corners.reduce((sum, k) => sum + this.heights[k], 0) / 4;
    const across = this.heights[corners[1]] - this.heights[corners[0]];
    ink.beginPath();
    for (const k of corners) ink.lineTo(at[2 * k], at[2 * k + 1]);
    ink.closePath();
    ink.fillStyle = ink.strokeStyle = this._shade(mean, across);
    ink.fill();
    ink.stroke(); // else seams show between cells
    for (const [x, y, height] of own.get(i * (n - 1) + j) || []) {
      const [right, down] = this.project(x, y, height);
      ink.beginPath();
      ink.arc(right, down - 1, 3, 0, 2 * Math.PI);
      ink.fillStyle = `rgb(${this.point})`;
      ink.fill();
      ink.lineWidth = 0.8;
      ink.strokeStyle = "#3a1800";
      ink.stroke();
      ink.lineWidth = 1;
    }
  }

  // A colour for a height; `across` is its slope along x, which light from the side shows.
  _shade(height, across) {
    let share = Math.min(1, Math.max(0, height));
    if (this.colour === "probability") share = 1 - Math.exp((-share * this.top) / Math.max(this.temperature, 0.02));
    if (this.colour === "steps") share = Math.floor(share * 8) / 8;
    const place = share * (this.shades.length - 1), low = Math.min(Math.floor(place), this.shades.length - 2);
    const light = 1 + 0.16 * Math.tanh(across * this.n * 0.25);
    const mixed = this.shades[low].map((c, k) => c + (this.shades[low + 1][k] - c) * (place - low));
    return `rgb(${mixed.map((c) => Math.round(Math.min(255, c * light))).join(",")})`;
  }

  // The place of the surface nearest to a pixel, the frontmost where several are near.
  find(right, down) {
    const at = this._corners(), { n, wall } = this;
    let best = -1, least = Infinity;
    for (let k = 0; k < n * n; k++) {
      const place = (c) => wall * ((2 * c) / (n - 1) - 1);
      const [x, y] = [place(Math.floor(k / n)), place(k % n)];
      const deep = (Math.sin(this.yaw) * x + Math.cos(this.yaw) * y) / wall;
      const far = Math.hypot(at[2 * k] - right, at[2 * k + 1] - down);
      const cost = Math.max(far, this.wide / n) + 4 * deep;
      if (far < this.wide / 10 && cost < least) [best, least] = [k, cost];
    }
    if (best < 0) return null;
    return [Math.floor(best / n), best % n].map((c) => wall * ((2 * c) / (n - 1) - 1));
  }

  turn(yaw, pitch) {
    const whole = 2 * Math.PI;
    this.yaw = (((this.yaw + yaw) % whole) + whole) % whole;
    this.pitch = Math.min(1.5, Math.max(0.25, this.pitch + pitch));
    this.draw();
    this.asked.turned?.();
  }

  _listen() {
    let from = null, moved = 0;
    this.canvas.addEventListener("pointerdown", (e) => {
      [from, moved] = [[e.clientX, e.clientY], 0];
      this.canvas.setPointerCapture(e.pointerId);
    });
    this.canvas.addEventListener("pointermove", (e) => {
      if (!from) return;
      const [right, down] = [e.clientX - from[0], e.clientY - from[1]];
      moved += Math.abs(right) + Math.abs(down);
      if (moved > 6) this.turn(right / 120, down / 160);
      from = [e.clientX, e.clientY];
    });
    const end = (e) => {
      const box = this.canvas.getBoundingClientRect();
      if (from && moved <= 6 && e.type === "pointerup") {
        const found = this.find(e.clientX - box.left, e.clientY - box.top);
        if (found) this.asked.drop?.(...found);
      }
      from = null;
    };
    for (const name of ["pointerup", "pointercancel"]) this.canvas.addEventListener(name, end);
    const keys = { ArrowLeft: [-0.12, 0], ArrowRight: [0.12, 0], ArrowUp: [0, 0.08], ArrowDown: [0, -0.08] };
    this.canvas.addEventListener("keydown", (e) => {
      if (keys[e.key]) this.turn(...keys[e.key]);
      else if (e.key === "Enter") this.asked.drop?.(0, 0);
      else return;
      e.preventDefault();
    });
  }
}
