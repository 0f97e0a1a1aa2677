"use strict";
// The page's controls. What they do is a function each, so that keys, pointer and tests do the same.

const FOUND = JSON.parse(document.getElementById("landscape-data").textContent);
const SAID = JSON.parse(document.getElementById("landscape-words").textContent);
const FINE = 60; // points per axis of a surface
const BUNCH = 16, SPREAD = 0.25; // points that a click drops, and how far apart
const STILL = matchMedia("(prefers-reduced-motion: reduce)");
const get = (id) => document.getElementById(id);
const pairs = (text) => {
  const numbers = unpack(text), found = [];
  for (let i = 0; i < numbers.length; i += 2) found.push([numbers[i], numbers[i + 1]]);
  return found;
};

class Landscape {
  constructor() {
    Object.assign(this, { points: [], lost: 0, moves: 0, chance: new Chance(1), running: false });
    for (const [id, all] of [["density", FOUND.densities], ["way", FOUND.ways]])
      for (const [name, { title }] of Object.entries(all)) get(id).add(new Option(title, name));
    get("way").value = "ml";
    this.surface = new Surface(get("surface"), FOUND, {
      drop: (x, y) => this.drop(x, y),
      turned: () => this.told(),
    });
    this._listen();
    this.choose();
  }

  get way() {
    return FOUND.ways[get("way").value];
  }
  get step() {
    return 10 ** Number(get("step").value);
  }
  get temperature() {
    return get("rule").value === "descent" ? 0 : Number(get("temperature").value);
  }

  // Another density or way: its training from beginning to end, shown at the end.
  choose() {
    const { networks, widths, steps } = this.way, numbers = unpack(networks[get("density").value]);
    const size = numbers.length / steps.length;
    this.frames = steps.map((_, i) => new Energy(numbers.subarray(i * size, (i + 1) * size), widths, FOUND.domain));
    get("moment").max = steps.length - 1;
    get("moment").value = steps.length - 1;
    if (get("data").getAttribute("aria-pressed") === "true") this.data(true);
    this.look();
  }

  // The surface at the moment that the scrubber says.
  look() {
    this.energy = this.frames[Number(get("moment").value)];
    this.surface.show(this.energy.grid(FINE), FINE, this.way.top);
    this.told();
  }

  told() {
    const at = Number(get("moment").value), { steps, kl } = this.way, own = kl[get("density").value];
    Object.assign(this.surface, { colour: get("colour").value, temperature: this.temperature, points: this.points });
    get("moment-value").textContent = `step ${steps[at]}`;
    get("yaw").value = this.surface.yaw;
    get("pitch").value = this.surface.pitch;
    get("yaw-value").textContent = `${Math.round((this.surface.yaw * 180) / Math.PI)}°`;
    get("pitch-value").textContent = `${Math.round((this.surface.pitch * 180) / Math.PI)}°`;
    get("step-value").textContent = digits(this.step);
    get("temperature-value").textContent = digits(this.temperature);
    get("temperature").disabled = get("rule").value === "descent";
    get("told").textContent = `Step ${steps[at]} of ${steps[steps.length - 1]}: divergence ${digits(own[at])} nats.`;
    get("divergence").innerHTML = chart({
      title: "KL(data ‖ exp(−E)/Z), nats", axis: "training step", x: steps, mark: steps[at],
      series: [{ label: "", colour: "real", mean: own }],
    });
    const mean = this.meanEnergy();
    const many = `${this.points.length} points, ${this.moves} moves`;
    const gone = this.lost ? `; ${this.lost} lost` : "";
    get("moving").textContent = mean === null ? "No points yet." : `${many}${gone}: mean energy ${mean.toFixed(3).replace("-", "−")}.`;
    this.surface.draw();
  }

  meanEnergy() {
    if (!this.points.length) return null;
    return this.points.reduce((sum, [x, y]) => sum + this.energy.at(x, y, false)[0], 0) / this.points.length;
  }

  drop(x, y) {
    this.data(false);
    const near = () => SPREAD * this.chance.normal(), { wall } = FOUND.domain;
    const within = (c) => Math.min(wall, Math.max(-wall, c));
    for (let i = 0; i < BUNCH; i++) this.points.push([within(x + near()), within(y + near())]);
    this.started();
  }

  scatter() {
    this.data(false);
    const anywhere = () => FOUND.domain.wall * (2 * this.chance.uniform() - 1);
    for (let i = 0; i < FOUND.sampling.points; i++) this.points.push([anywhere(), anywhere()]);
    this.started();
  }

  started() {
    if (!STILL.matches) this.run(true);
    this.told();
  }

  clear() {
    this.run(false);
    this.data(false);
    Object.assign(this, { lost: 0, moves: 0 });
    this.points.length = 0;
    this.told();
  }

  // The data instead of points that were dropped; they do not move.
  data(shown) {
    const was = get("data").getAttribute("aria-pressed") === "true";
    if (shown || was) this.points.splice(0);
    if (shown) this.run(false);
    if (shown) Object.assign(this, { points: pairs(FOUND.densities[get("density").value].data), moves: 0, lost: 0 });
    get("data").setAttribute("aria-pressed", String(shown));
  }

  move(times = 1) {
    for (let i = 0; i < times; i++, this.moves++)
      this.lost += move(this.points, this.energy, this.step, this.temperature, this.chance);
    this.told();
  }

  run(on) {
    const began = on && !this.running;
    this.running = on;
    get("run").setAttribute("aria-pressed", String(on));
    get("run").textContent = on ? "Pause" : "Run";
    if (began) requestAnimationFrame(() => this._frame());
  }

  _frame() {
    if (!this.running) return;
    if (this.points.length) this.move();
    requestAnimationFrame(() => this._frame());
  }

  train() {
    clearInterval(this.film);
    get("moment").value = 0;
    this.look();
    this.film = setInterval(() => {
      if (get("moment").value === get("moment").max) return clearInterval(this.film);
      get("moment").value = Number(get("moment").value) + 1;
      this.look();
    }, 400);
  }

  _listen() {
    get("step").value = Math.log10(FOUND.sampling.step);
    const on = (id, what, does) => get(id).addEventListener(what, does);
    for (const id of ["density", "way"]) on(id, "change", () => this.choose());
    on("moment", "input", () => (clearInterval(this.film), this.look()));
    for (const id of ["step", "temperature"]) on(id, "input", () => this.told());
    for (const id of ["colour", "rule"]) on(id, "change", () => this.told());
    for (const id of ["yaw", "pitch"])
      on(id, "input", () => ((this.surface[id] = Number(get(id).value)), this.told()));
    on("train", "click", () => this.train());
    on("scatter", "click", () => this.scatter());
    on("once", "click", () => this.move(10));
    on("clear", "click", () => this.clear());
    on("run", "click", () => this.run(!this.running));
    on("data", "click", () => (this.data(get("data").getAttribute("aria-pressed") !== "true"), this.told()));
  }
}

class Dials {
  constructor() {
    this.surface = new Surface(get("game"), FOUND);
    get("dial").addEventListener("change", () => this.choose());
    get("value").addEventListener("input", () => this.look());
    this.choose();
  }

  choose() {
    this.name = get("dial").value;
    this.dial = FOUND.dials[this.name];
    get("value").max = this.dial.values.length - 1;
    get("value").value = 0;
    get("symbol").textContent = this.dial.symbol;
    for (const words of document.querySelectorAll(".dial-words")) words.hidden = words.dataset.dial !== this.name;
    this.look();
  }

  look() {
    const at = Number(get("value").value), { dial } = this, value = dial.values[at];
    const energy = new Energy(unpack(dial.networks[at]), dial.widths, FOUND.domain), field = energy.grid(FINE);
    this.surface.points = pairs(dial.points[at]);
    // D's energies are distances: what is far from all data would hide what is near it.
    const sorted = Float64Array.from(field).sort(), half = sorted[Math.floor(sorted.length / 2)] - sorted[0];
    this.surface.show(field, FINE, half * 1.5 || 1);
    get("value-value").textContent = digits(value);
    get("value").setAttribute("aria-valuetext", `${dial.symbol} = ${digits(value)}`);
    const mean = (values) => values.reduce((a, b) => a + b, 0) / values.length;
    const { valleys, near } = dial.ends, own = valleys[at], [low, high] = [Math.min(...own), Math.max(...own)];
    const spread = low < high ? `${low} to ${high} over ${own.length} seeds` : `from each of ${own.length} seeds`;
    get("ends").textContent =
      `${dial.symbol} = ${digits(value)}: G visits ${digits(mean(own))} of ${dial.of} valleys (${spread}); ` +
      `${Math.round(100 * mean(near[at]))} % of its points lie in one.`;
    this.draw(at, value);
  }

  draw(at, value) {
    const { dial } = this, colours = { fake: "fake", ratio: "fake", real: "real" };
    const panels = dial.panels.map(({ title, terms, level }) => chart({
      title, axis: "training step", x: dial.steps,
      series: terms.map((t) => ({ label: terms.length > 1 ? SAID.terms[t] : "", colour: colours[t] || "real", ...dial.curves[t][at] })),
      levels: level ? [[value, `${dial.symbol} = ${digits(value)}`]] : [],
    }));
    const index = dial.values.map((_, i) => i), { valleys, near } = dial.ends;
    for (const [title, ends, most] of [[SAID.dial.valleys, valleys, dial.of], [SAID.dial.near, near, 1]])
      panels.push(chart({
        title, axis: dial.symbol, x: index, most, mark: at,
        dots: ends.map((ys, i) => ({ ys, label: digits(dial.values[i]) })),
      }));
    get("curves").innerHTML = panels.map((panel) => `<div>${panel}</div>`).join("");
  }
}

globalThis.landscape = new Landscape();
globalThis.dials = new Dials();
