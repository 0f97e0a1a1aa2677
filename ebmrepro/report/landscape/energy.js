"use strict";
// Energies of the plane: the trained networks, their energies and their slopes, and points on them.

// base64 of little-endian float32 -> numbers.
function unpack(text) {
  const bytes = Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
  return new Float32Array(bytes.buffer);
}

// A network of the plane with tanh between its layers, and E(x, y) of it: its only output, or, where
// it has two, the distance of (x, y) from them. Beyond the walls an energy rises steeply.
class Energy {
  constructor(numbers, widths, domain) {
    this.domain = domain;
    this.layers = [];
    for (let i = 0, at = 0; i + 1 < widths.length; i++) {
      const [wide, out] = [widths[i], widths[i + 1]];
      const weight = numbers.subarray(at, at + wide * out);
      this.layers.push({ wide, out, weight, bias: numbers.subarray((at += wide * out), (at += out)) });
    }
  }

  // [E, dE/dx, dE/dy]; the slope costs as much again and is left out if not asked for.
  at(x, y, slope = true) {
    const seen = [[x, y]]; // what enters each layer
    for (const [i, { wide, out, weight, bias }] of this.layers.entries()) {
      const v = seen[i], sums = Array.from(bias);
      for (let a = 0; a < wide; a++) for (let b = 0; b < out; b++) sums[b] += v[a] * weight[a * out + b];
      seen.push(i + 1 < this.layers.length ? sums.map(Math.tanh) : sums);
    }
    const made = seen[seen.length - 1];
    let E, back, direct = [0, 0];
    if (made.length === 1) {
      E = made[0];
      back = [1];
    } else {
      const off = [x - made[0], y - made[1]];
      E = Math.hypot(...off);
      direct = off.map((d) => d / (E || 1));
      back = direct.map((d) => -d);
    }
    const beyond = [x, y].map((c) => Math.sign(c) * Math.max(0, Math.abs(c) - this.domain.wall));
    E += (this.domain.stiffness / 2) * (beyond[0] ** 2 + beyond[1] ** 2);
    if (!slope) return [E];
    for (let i = this.layers.length - 1; i >= 0; i--) {
      const { wide, out, weight } = this.layers[i], next = new Array(wide).fill(0);
      for (let a = 0; a < wide; a++) {
        for (let b = 0; b < out; b++) next[a] += weight[a * out + b] * back[b];
        if (i > 0) next[a] *= 1 - seen[i][a] ** 2;
      }
      back = next;
    }
    return [E, ...[0, 1].map((c) => back[c] + direct[c] + this.domain.stiffness * beyond[c])];
  }

  // Energies at n x n points over the square within the walls, x first.
  grid(n) {
    const field = new Float64Array(n * n), place = (i) => this.domain.wall * ((2 * i) / (n - 1) - 1);
    for (let i = 0; i < n; i++)
      for (let j = 0; j < n; j++) field[i * n + j] = this.at(place(i), place(j), false)[0];
    return field;
  }
}

// Uniform numbers in [0, 1) that are the same each time (mulberry32), and normal ones.
class Chance {
  constructor(seed) {
    this.state = seed;
  }
  uniform() {
    let t = (this.state = (this.state + 0x6d2b79f5) | 0);
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  }
  normal() {
    return Math.sqrt(-2 * Math.log(1 - this.uniform())) * Math.cos(2 * Math.PI * this.uniform());
  }
}

// One move of every point: x <- x - step dE/dx + sqrt(2 step T) noise. T = 0 is plain descent.
// Points that a long step throws out of the square are dropped; their number is given back.
function move(points, energy, step, temperature, chance) {
  const shake = Math.sqrt(2 * step * temperature), kept = [];
  for (const [x, y] of points) {
    const [, dx, dy] = energy.at(x, y);
    const next = [x - step * dx, y - step * dy];
    if (shake > 0) for (const c of [0, 1]) next[c] += shake * chance.normal();
    if (next.every((c) => Math.abs(c) <= energy.domain.half)) kept.push(next);
  }
  const lost = points.length - kept.length;
  points.splice(0, points.length, ...kept);
  return lost;
}
