// The map: decoded images beneath, codes above, and what the reader does with a pointer or a keyboard.

import { classColour, css, heat, ramp } from "./colours";
import { bars, canvasOf, pixels, type Rgb } from "./images";
import { packed, pointsOn, tinted, type Points, type View } from "./points";
import type { Session } from "./session";
import { codeAt, inside, type Vec } from "./space";

export type Layers = "both" | "points" | "images";
export type Tool = "look" | "lasso-a" | "lasso-b";
export type Overlay = "none" | "density" | "reencode" | "magnification";

export interface Shown {
  layers: Layers;
  tool: Tool;
  colour: string; // "label", "factor:i" or "none"
  overlay: Overlay;
}

interface Events {
  view(): void;
  stop(z: Float64Array): void;
  lassoed(group: 0 | 1, found: number[]): void;
  active(): void;
  linked(row: number): void;
}

const BATCH = 48, KEPT = 3000, HEAT = 40, COARSE = 26, MARGIN = 160, FITTED = 4000;

export class MapView {
  view: View = { x: 0, y: 0, scale: 80 };
  private fitted = false;
  private under = document.createElement("canvas");
  private dots = document.createElement("canvas");
  private ink = document.createElement("canvas");
  private points: Points;
  private tiles = new Map<string, HTMLCanvasElement>();
  private asked = new Set<string>();
  private filled = 0; // times that tiles came or went
  private sheet: { canvas: HTMLCanvasElement; view: View; margin: number; stamp: string } | null = null;
  private fetching = 0;
  private version = -1;
  private seen: object | null = null;
  private seeds: HTMLCanvasElement | null = null; // the images that are there before the model runs
  private heatmap: { image: HTMLCanvasElement; box: number[]; low: number; high: number } | null = null;
  private heatKey = "";
  private lasso: [number, number][] = [];
  private pointer: [number, number] | null = null;
  private linkedRow = -1;
  private waiting = 0;
  private dull = true; // whether points are to be coloured before they are drawn
  frames: number[] = []; // milliseconds that drawing took
  lassoed = 0; // and choosing under a lasso
  legend: { low: number; high: number } | null = null;

  constructor(readonly box: HTMLElement, readonly session: Session, private shown: Shown, private events: Events) {
    for (const [canvas, name] of [[this.under, "under"], [this.dots, "dots"], [this.ink, "ink"]] as const) {
      canvas.className = `layer ${name}`;
      canvas.setAttribute("aria-hidden", "true");
      box.append(canvas);
    }
    ({ canvas: this.dots, points: this.points } = pointsOn(this.dots));
    new ResizeObserver(() => this.resized()).observe(box);
    this.listen();
    this.resized();
  }

  width = 0; // of the box, in pixels of the page
  height = 0;
  private get ratio(): number { return Math.min(2, window.devicePixelRatio || 1); }
  toPage(a: number, b: number): [number, number] {
    const v = this.view;
    return [(a - v.x) * v.scale + this.width / 2, this.height / 2 - (b - v.y) * v.scale];
  }
  toPlane(x: number, y: number): [number, number] {
    const v = this.view;
    return [(x - this.width / 2) / v.scale + v.x, (this.height / 2 - y) / v.scale + v.y];
  }

  show(shown: Shown): void {
    this.shown = shown;
    this.recolour();
    this.later();
  }

  /** The middle 99% of the codes in sight. */
  fit(): void {
    const p = this.session.placed;
    if (!p.length || this.width < 10) return;
    const xs = some(p, 0), ys = some(p, 1);
    const cut = (v: Float32Array, q: number) => v[Math.min(v.length - 1, Math.floor(q * v.length))];
    const [l, r, b, t] = [cut(xs, 0.003), cut(xs, 0.997), cut(ys, 0.003), cut(ys, 0.997)];
    this.view = { x: (l + r) / 2, y: (b + t) / 2, scale: 0.9 * Math.min(this.width / Math.max(r - l, 1e-6), this.height / Math.max(t - b, 1e-6, (r - l) / 20)) };
    this.fitted = true;
    this.moved();
  }

  restore(view: View): void {
    this.view = view;
    this.fitted = true;
    this.later();
  }

  /** Takes over what has changed in the session. */
  update(): void {
    const s = this.session;
    if (s.placed !== this.seen) {
      this.seen = s.placed;
      this.recolour();
      if (!this.fitted) this.fit();
    }
    if (s.version !== this.version) {
      this.version = s.version;
      this.filled++;
      this.tiles.clear();
      this.asked.clear();
      this.heatKey = "";
    }
    this.later();
  }

  redecode(): void {
    this.version = -1;
    this.seeds = null;
    this.update();
  }

  recolour(): void {
    this.dull = true;
    this.later();
  }

  private colour(): void {
    this.dull = false;
    const { session: s } = this, codes = s.codes;
    if (!codes) return;
    const by = this.shown.colour, n = codes.n;
    const factor = by.startsWith("factor:") ? codes.factors[+by.slice(7)] : null;
    const values = by === "label" ? codes.labels : factor?.values;
    const classes = by === "label" ? s.about.labels.kind === "class" : factor?.classes;
    if (!values) return this.points.set(s.placed, tinted(n, () => packed([122, 130, 146])));
    if (classes) {
      const known = new Map<number, number>();
      const of = (k: number): number => { const c = s.hidden.has(k) ? 0 : packed(classColour(k)); known.set(k, c); return c; };
      return this.points.set(s.placed, tinted(n, (i) => known.get(values[i]) ?? of(values[i])));
    }
    let low = Infinity, high = -Infinity;
    for (let i = 0; i < n; i++) (low = Math.min(low, values[i])), (high = Math.max(high, values[i]));
    this.points.set(s.placed, tinted(n, (i) => packed(ramp((values[i] - low) / (high - low || 1)))));
  }

  private resized(): void {
    this.width = this.box.clientWidth;
    this.height = this.box.clientHeight;
    for (const canvas of [this.under, this.ink]) {
      canvas.width = Math.round(this.width * this.ratio);
      canvas.height = Math.round(this.height * this.ratio);
    }
    if (!this.fitted) this.fit();
    this.later();
  }

  moved(): void {
    this.later();
    this.events.view();
  }

  later(): void {
    if (!this.waiting) this.waiting = requestAnimationFrame(() => this.draw());
  }

  private draw(): void {
    this.waiting = 0;
    const began = performance.now();
    if (this.width < 10) return;
    if (this.dull) this.colour();
    this.drawUnder();
    const n = this.session.codes?.n ?? 0;
    const zoom = Math.sqrt(this.view.scale / 80);
    const radius = Math.min(5, Math.max(1.5, (n > 20_000 ? 1.6 : n > 4000 ? 2.2 : 3) * zoom));
    const alpha = this.shown.layers === "images" ? 0 : this.shown.layers === "both" ? (n > 20_000 ? 0.6 : 0.85) : 0.8;
    this.points.draw(this.view, this.width, this.height, this.ratio, radius, alpha);
    this.drawInk();
    this.frames.push(performance.now() - began);
    if (this.frames.length > 600) this.frames.shift();
  }

  // decoded images in a lattice that halves as one comes nearer, as maps of the earth are made

  private get inks(): [Rgb, Rgb] {
    const style = getComputedStyle(this.box);
    const read = (name: string): Rgb => style.getPropertyValue(name).trim().split(/\s+/).map(Number) as Rgb;
    const [paper, ink] = [read("--paper-rgb"), read("--tile-rgb")];
    return this.session.about.dark ? [paper, ink] : [ink, paper];
  }

  private get level(): number {
    const [, H, W] = this.session.about.image ? this.session.about.shape : [1, 48, 48];
    const wanted = Math.max(44, Math.min(96, 1.7 * Math.max(H, W)));
    return Math.round(Math.log2(wanted / this.view.scale));
  }

  private drawUnder(): void {
    const c = this.under.getContext("2d")!;
    c.setTransform(this.ratio, 0, 0, this.ratio, 0, 0);
    c.clearRect(0, 0, this.width, this.height);
    if (this.shown.layers !== "points") {
      this.want();
      const now = this.view, stamp = [this.version, this.filled, this.shown.layers, now.scale, this.width, this.height].join();
      const away = () => (this.sheet ? [(this.sheet.view.x - now.x) * now.scale, (now.y - this.sheet.view.y) * now.scale] : [0, 0]);
      if (this.sheet?.stamp !== stamp || Math.max(...away().map(Math.abs)) > this.sheet.margin) this.lay(stamp);
      const { canvas, margin } = this.sheet!, [dx, dy] = away(), whole = (v: number) => Math.round(v * this.ratio) / this.ratio;
      c.imageSmoothingEnabled = false;
      c.drawImage(canvas, whole(dx - margin), whole(dy - margin), canvas.width / this.ratio, canvas.height / this.ratio);
    }
    if (this.shown.overlay !== "none") this.drawHeat(c);
  }

  /** Asks for the tiles in sight that are not there, those next to the pointer first. */
  private want(): void {
    if (this.fetching >= 2) return;
    const level = this.level, size = 2 ** level, missing: { key: string; a: number; b: number; far: number }[] = [];
    const [a0, b1] = this.toPlane(0, 0), [a1, b0] = this.toPlane(this.width, this.height), [px0, py0] = this.pointer ?? [this.width / 2, this.height / 2];
    for (let j = Math.floor(b0 / size); j * size < b1; j++)
      for (let i = Math.floor(a0 / size); i * size < a1; i++) {
        const key = `${level}:${i}:${j}`;
        if (this.tiles.has(key) || this.asked.has(key)) continue;
        const [x, y] = this.toPage(i * size, (j + 1) * size);
        missing.push({ key, a: (i + 0.5) * size, b: (j + 0.5) * size, far: Math.hypot(x - px0, y - py0) });
      }
    if (missing.length) this.fetch(missing.sort((p, q) => p.far - q.far).slice(0, BATCH));
  }

  /** Draws the tiles once, with some beyond the edges: a map that is dragged then moves one picture and not hundreds. */
  private lay(stamp: string): void {
    // while it is zoomed every frame wants another sheet, and none is dragged
    const margin = this.sheet?.view.scale === this.view.scale ? MARGIN : 0, { width, height } = this;
    const canvas = this.sheet?.canvas ?? document.createElement("canvas"), c = canvas.getContext("2d")!;
    canvas.width = Math.round((width + 2 * margin) * this.ratio);
    canvas.height = Math.round((height + 2 * margin) * this.ratio);
    c.setTransform(this.ratio, 0, 0, this.ratio, margin * this.ratio, margin * this.ratio);
    c.globalAlpha = this.shown.layers === "both" ? 0.75 : 1;
    this.layEarly(c);
    const level = this.level;
    c.imageSmoothingEnabled = this.view.scale * 2 ** level < 2.2 * (this.session.about.shape[2] ?? 48);
    for (const k of [level + 1, level]) {
      const size = 2 ** k, px = size * this.view.scale;
      const [a0, b1] = this.toPlane(-margin, -margin), [a1, b0] = this.toPlane(width + margin, height + margin);
      for (let j = Math.floor(b0 / size); j * size < b1; j++)
        for (let i = Math.floor(a0 / size); i * size < a1; i++) {
          const tile = this.tiles.get(`${k}:${i}:${j}`);
          if (!tile || (k > level && [0, 1, 2, 3].every((q) => this.tiles.has(`${level}:${2 * i + (q & 1)}:${2 * j + (q >> 1)}`)))) continue;
          const [x, y] = this.toPage(i * size, (j + 1) * size), l = Math.round(x), t = Math.round(y), w = Math.round(x + px) - l, h = Math.round(y + px) - t;
          c.clearRect(l, t, w, h);
          c.drawImage(tile, l, t, w, h);
        }
    }
    this.sheet = { canvas, view: this.view, margin, stamp };
  }

  /** The images that are there before the model runs, where those that it decodes will be. */
  private layEarly(c: CanvasRenderingContext2D): void {
    const { backend: { early }, label, about, plane } = this.session, [, H, W] = about.shape;
    if (!early || label || plane.e1[0] !== 1 || Math.abs(early.level - this.level) > 2) return;
    const { level, i, j, across, up, images } = early, size = 2 ** level;
    if (!this.seeds) {
      const grey = about.shape[0] === 1 ? this.inks : undefined, look = { shape: about.shape, range: [0, 255] as [number, number] };
      const sheet = (this.seeds = document.createElement("canvas")), to = sheet.getContext("2d")!;
      [sheet.width, sheet.height] = [across * W, up * H];
      for (let k = 0; k < across * up; k++) to.putImageData(pixels(look, images, k, grey), (k % across) * W, (up - 1 - Math.floor(k / across)) * H);
    }
    const [l, t] = this.toPage(i * size, (j + up) * size), px = size * this.view.scale;
    c.imageSmoothingEnabled = px < 2.2 * W;
    c.drawImage(this.seeds, l, t, across * px, up * px);
  }

  private async fetch(wanted: { key: string; a: number; b: number }[]): Promise<void> {
    const { session: s, version } = this;
    this.fetching++;
    for (const { key } of wanted) this.asked.add(key);
    try {
      const images = await s.decode(wanted.map(({ a, b }) => codeAt(s.plane, s.base, a, b)));
      if (version !== this.version) return;
      if (this.tiles.size > KEPT) for (const key of [...this.tiles.keys()].slice(0, KEPT / 3)) this.tiles.delete(key), this.asked.delete(key);
      this.filled++;
      const ends = this.inks;
      wanted.forEach(({ key }, i) => {
        const grey = s.about.shape[0] === 1;
        this.tiles.set(key, s.about.image ? canvasOf(pixels(s.about, images, i, grey ? ends : undefined)) : bars(images, i, s.size, 48, css(ends[1], 0.8)));
      });
    } catch {
      await new Promise((done) => setTimeout(done, 1500));
      for (const { key } of wanted) this.asked.delete(key);
    } finally {
      this.fetching--;
      this.later();
    }
  }

  // overlays

  private drawHeat(c: CanvasRenderingContext2D): void {
    const { x, y, scale } = this.view, key = [this.shown.overlay, this.version, this.session.label, x.toFixed(3), y.toFixed(3), scale.toFixed(2)].join();
    if (key !== this.heatKey) {
      this.heatKey = key;
      setTimeout(() => key === this.heatKey && this.measure(key), 180);
    }
    if (!this.heatmap) return;
    const [a0, b0, a1, b1] = this.heatmap.box;
    const [l, t] = this.toPage(a0, b1), [r, b] = this.toPage(a1, b0);
    c.imageSmoothingEnabled = true;
    c.globalAlpha = this.shown.layers === "points" ? 0.75 : 0.55;
    c.drawImage(this.heatmap.image, l, t, r - l, b - t);
    c.globalAlpha = 1;
  }

  private async measure(key: string): Promise<void> {
    const s = this.session, question = this.shown.overlay;
    const [a0, b1] = this.toPlane(0, 0), [a1, b0] = this.toPlane(this.width, this.height);
    const nx = s.backend.coarse ? COARSE : HEAT, ny = Math.max(4, Math.round((nx * this.height) / this.width));
    const codes: number[][] = [];
    for (let j = 0; j < ny; j++)
      for (let i = 0; i < nx; i++)
        codes.push(Array.from(codeAt(s.plane, s.base, a0 + ((i + 0.5) / nx) * (a1 - a0), b1 - ((j + 0.5) / ny) * (b1 - b0))));
    try {
      const asked: any = { z: codes };
      if (s.about.conditional) asked.labels = [s.label];
      const { facts, arrays } = await s.ask(question, asked);
      if (key !== this.heatKey) return;
      const values = Object.values(arrays)[0].data, order = Float32Array.from(values as Float32Array).sort();
      let low = order[Math.floor(0.02 * order.length)], high = order[Math.floor(0.98 * order.length)];
      if (question === "density") [low, high] = [facts.typical[0] - 6, facts.typical[3] + 1];
      const image = new ImageData(nx, ny);
      for (let i = 0; i < values.length; i++) {
        const [r, g, b] = heat((values[i] - low) / (high - low || 1));
        image.data.set([r, g, b, 255], 4 * i);
      }
      this.heatmap = { image: canvasOf(image), box: [a0, b0, a1, b1], low, high };
      this.legend = { low, high };
      this.events.view();
      this.later();
    } catch {}
  }

  // ink: axes, the held code, stops, paths, ellipses, the lasso

  private drawInk(): void {
    const c = this.ink.getContext("2d")!, s = this.session, style = getComputedStyle(this.box);
    const [ink, paper, accent] = ["--ink", "--paper", "--accent"].map((name) => style.getPropertyValue(name).trim());
    c.setTransform(this.ratio, 0, 0, this.ratio, 0, 0);
    c.clearRect(0, 0, this.width, this.height);
    this.drawTicks(c, ink, paper);
    for (const [g, colour] of [[0, "#4c78c8"], [1, "#e8813e"]] as const) {
      c.fillStyle = colour;
      const found = s.groups[g], stride = Math.max(1, Math.ceil(found.length / 6000));
      for (let k = 0; k < found.length; k += stride) {
        const [x, y] = this.toPage(s.placed[2 * found[k]], s.placed[2 * found[k] + 1]);
        c.fillRect(x - 1.5, y - 1.5, 3, 3);
      }
    }
    const line = (codes: Vec[], dashed = false) => {
      c.beginPath();
      codes.forEach((z, i) => c[i ? "lineTo" : "moveTo"](...this.toPage(...s.spot(z))));
      c.setLineDash(dashed ? [4, 4] : []);
      c.lineWidth = 4; c.strokeStyle = paper; c.stroke();
      c.lineWidth = 2; c.strokeStyle = ink; c.stroke();
      c.setLineDash([]);
    };
    if (s.path) line(s.path.z);
    else if (s.stops.length > 1) line(s.stops.map((p) => p.z), true);
    s.stops.forEach(({ z }, i) => this.mark(c, z, String(i + 1), ink, paper));
    for (const z of s.draws) {
      const [x, y] = this.toPage(...s.spot(z));
      c.beginPath(); c.arc(x, y, 3.5, 0, 7); c.fillStyle = accent; c.fill(); c.lineWidth = 1.5; c.strokeStyle = paper; c.stroke();
    }
    if (s.own) {
      const [x, y] = this.toPage(...s.spot(s.own.mean));
      if (s.own.std) this.ellipse(c, x, y, s.own.std, accent);
      c.beginPath(); c.arc(x, y, 4.5, 0, 7); c.fillStyle = accent; c.fill(); c.lineWidth = 2; c.strokeStyle = paper; c.stroke();
    }
    if (s.held) {
      const [x, y] = this.toPage(...s.spot(s.base));
      c.lineWidth = 5; c.strokeStyle = paper; c.beginPath(); c.arc(x, y, 9, 0, 7); c.stroke();
      c.lineWidth = 2.5; c.strokeStyle = accent; c.beginPath(); c.arc(x, y, 9, 0, 7); c.stroke();
      c.fillStyle = accent; c.beginPath(); c.arc(x, y, 2, 0, 7); c.fill();
    }
    const linked = this.linkedRow >= 0 ? this.linkedRow : s.hover?.row ?? -1;
    if (linked >= 0) {
      const [x, y] = this.toPage(s.placed[2 * linked], s.placed[2 * linked + 1]);
      c.lineWidth = 4; c.strokeStyle = paper; c.beginPath(); c.arc(x, y, 6, 0, 7); c.stroke();
      c.lineWidth = 2; c.strokeStyle = ink; c.beginPath(); c.arc(x, y, 6, 0, 7); c.stroke();
    }
    if (this.lasso.length > 1) {
      c.beginPath();
      this.lasso.forEach(([x, y], i) => c[i ? "lineTo" : "moveTo"](x, y));
      c.closePath();
      c.fillStyle = this.shown.tool === "lasso-a" ? "rgb(76 120 200 / .18)" : "rgb(232 129 62 / .2)";
      c.fill();
      c.lineWidth = 1.5; c.strokeStyle = this.shown.tool === "lasso-a" ? "#4c78c8" : "#e8813e"; c.stroke();
    }
  }

  private mark(c: CanvasRenderingContext2D, z: Vec, text: string, ink: string, paper: string): void {
    const [x, y] = this.toPage(...this.session.spot(z));
    c.beginPath(); c.arc(x, y, 9, 0, 7); c.fillStyle = ink; c.fill(); c.lineWidth = 2; c.strokeStyle = paper; c.stroke();
    c.fillStyle = paper; c.font = "600 11px system-ui, sans-serif"; c.textAlign = "center"; c.textBaseline = "middle";
    c.fillText(text, x, y + 0.5);
  }

  private ellipse(c: CanvasRenderingContext2D, x: number, y: number, std: Vec, colour: string): void {
    const { e1, e2 } = this.session.plane;
    let [a, b, d] = [0, 0, 0];
    for (let i = 0; i < std.length; i++) {
      const v = std[i] ** 2;
      a += v * e1[i] ** 2; b += v * e1[i] * e2[i]; d += v * e2[i] ** 2;
    }
    const mid = (a + d) / 2, root = Math.hypot((a - d) / 2, b), turn = 0.5 * Math.atan2(2 * b, a - d);
    c.strokeStyle = colour;
    for (const times of [1, 2]) {
      c.lineWidth = times === 1 ? 2 : 1;
      c.beginPath();
      c.ellipse(x, y, times * Math.sqrt(mid + root) * this.view.scale, times * Math.sqrt(Math.max(0, mid - root)) * this.view.scale, -turn, 0, 7);
      c.stroke();
    }
  }

  private drawTicks(c: CanvasRenderingContext2D, ink: string, paper: string): void {
    const about = 110 / this.view.scale, ten = 10 ** Math.floor(Math.log10(about));
    const step = ten * ([1, 2, 5, 10].find((m) => m * ten >= 0.8 * about) ?? 10);
    const [a0, b1] = this.toPlane(0, 0), [a1, b0] = this.toPlane(this.width, this.height);
    c.font = "10.5px system-ui, sans-serif";
    c.lineWidth = 3; c.strokeStyle = paper; c.fillStyle = ink; c.globalAlpha = 0.75;
    const say = (text: string, x: number, y: number) => { c.strokeText(text, x, y); c.fillText(text, x, y); };
    const said = (v: number) => String(+v.toPrecision(4)).replace("-", "−");
    c.textAlign = "center"; c.textBaseline = "bottom";
    for (let a = Math.ceil(a0 / step) * step; a < a1; a += step) {
      const x = this.toPage(a, 0)[0];
      if (x > 40 && x < this.width - 80) say(said(a), x, this.height - 6);
    }
    c.textAlign = "left"; c.textBaseline = "middle";
    for (let b = Math.ceil(b0 / step) * step; b < b1; b += step) {
      const y = this.toPage(0, b)[1];
      if (y > 40 && y < this.height - 30) say(said(b), 8, y);
    }
    c.font = "600 11.5px system-ui, sans-serif"; c.globalAlpha = 0.95;
    c.textAlign = "right"; c.textBaseline = "bottom";
    say(this.session.plane.names[0], this.width - 10, this.height - 6);
    c.textAlign = "left"; c.textBaseline = "top";
    say(this.session.plane.names[1], 8, 8);
    c.globalAlpha = 1;
  }

  link(row: number): void {
    const rows = this.session.codes?.rows;
    const next = row < 0 || !rows ? -1 : rows.indexOf(row);
    if (next !== this.linkedRow) (this.linkedRow = next), this.later();
  }

  // pointer and keyboard

  private place(event: { clientX: number; clientY: number }): [number, number] {
    const box = this.box.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  }

  zoom(times: number, x = this.width / 2, y = this.height / 2): void {
    const [a, b] = this.toPlane(x, y), v = this.view;
    const scale = Math.min(1e5, Math.max(1e-3, v.scale * times));
    this.view = { x: a - (x - this.width / 2) / scale, y: b + (y - this.height / 2) / scale, scale };
    this.moved();
  }

  private look(x: number, y: number): void {
    const s = this.session, [a, b] = this.toPlane(x, y);
    const row = s.near && this.shown.layers !== "images" ? s.near.at(a, b, 7 / this.view.scale) : -1;
    s.over(row >= 0 && s.dim > 2 ? s.code(row) : s.at(a, b), row); // in more than two units a point may lie far off the plane
    this.events.linked(row >= 0 && s.codes?.rows ? s.codes.rows[row] : -1);
  }

  private listen(): void {
    const { box } = this, fingers = new Map<number, [number, number]>();
    let start: [number, number] | null = null, dragged = false, spread = 0;
    box.addEventListener("wheel", (event) => {
      event.preventDefault();
      const [x, y] = this.place(event);
      this.zoom(Math.exp(-event.deltaY * (event.deltaMode ? 0.05 : 0.0016)), x, y);
    }, { passive: false });
    box.addEventListener("pointerdown", (event) => {
      if (event.button > 0) return;
      this.events.active();
      box.setPointerCapture(event.pointerId);
      fingers.set(event.pointerId, this.place(event));
      start = this.place(event);
      dragged = fingers.size > 1;
      if (fingers.size === 2) { const [p, q] = [...fingers.values()]; spread = Math.hypot(p[0] - q[0], p[1] - q[1]); this.lasso = []; }
      else if (this.shown.tool !== "look") this.lasso = [start];
    });
    box.addEventListener("pointermove", (event) => {
      const here = this.place(event), before = fingers.get(event.pointerId);
      this.pointer = here;
      if (before) {
        fingers.set(event.pointerId, here);
        if (fingers.size === 2) {
          const [p, q] = [...fingers.values()], now = Math.hypot(p[0] - q[0], p[1] - q[1]);
          if (spread > 0 && now > 0) this.zoom(now / spread, (p[0] + q[0]) / 2, (p[1] + q[1]) / 2);
          spread = now;
        } else if (this.lasso.length) { this.lasso.push(here); dragged = true; this.later(); }
        else {
          if (start && Math.hypot(here[0] - start[0], here[1] - start[1]) > 4) dragged = true;
          if (dragged) {
            this.view = { ...this.view, x: this.view.x - (here[0] - before[0]) / this.view.scale, y: this.view.y + (here[1] - before[1]) / this.view.scale };
            this.moved();
          }
        }
      }
      if (!dragged || !before) this.look(...here);
    });
    const up = (event: PointerEvent) => {
      const was = fingers.delete(event.pointerId);
      if (!was) return;
      if (this.lasso.length > 2) {
        const polygon = this.lasso.map(([x, y]) => this.toPlane(x, y));
        const began = performance.now(), found = inside(this.session.placed, polygon);
        this.lassoed = performance.now() - began;
        this.events.lassoed(this.shown.tool === "lasso-b" ? 1 : 0, found);
      } else if (!dragged && start && event.type === "pointerup") {
        const s = this.session, [a, b] = this.toPlane(...start);
        const row = s.near && s.dim > 2 && this.shown.layers !== "images" ? s.near.at(a, b, 7 / this.view.scale) : -1;
        const z = row >= 0 ? s.code(row) : s.at(a, b);
        if (event.shiftKey) this.events.stop(z);
        else s.hold(z);
      }
      this.lasso = [];
      start = null;
      this.later();
    };
    box.addEventListener("pointerup", up);
    box.addEventListener("pointercancel", up);
    box.addEventListener("pointerleave", () => { this.pointer = null; this.session.over(null); this.events.linked(-1); });
    box.addEventListener("dblclick", (event) => this.zoom(event.shiftKey ? 0.5 : 2, ...this.place(event)));
    box.addEventListener("keydown", (event) => {
      const s = this.session, step = (event.shiftKey ? 4 : 24) / this.view.scale;
      const by: Record<string, [number, number]> = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] };
      if (by[event.key]) {
        const [a, b] = s.spot(s.base);
        s.hold(s.at(a + by[event.key][0] * step, b + by[event.key][1] * step));
      } else if (event.key === "+" || event.key === "=") this.zoom(1.4);
      else if (event.key === "-") this.zoom(1 / 1.4);
      else if (event.key === "0") this.fit();
      else if (event.key === "Enter" || event.key === "p") this.events.stop(Float64Array.from(s.base));
      else return;
      event.preventDefault();
    });
  }

  /** The map as a picture. */
  picture(): HTMLCanvasElement {
    const out = document.createElement("canvas"), c = out.getContext("2d")!;
    this.draw();
    out.width = this.under.width;
    out.height = this.under.height;
    c.fillStyle = getComputedStyle(this.box).getPropertyValue("--paper");
    c.fillRect(0, 0, out.width, out.height);
    for (const canvas of [this.under, this.dots, this.ink]) c.drawImage(canvas, 0, 0, out.width, out.height);
    return out;
  }
}

/** A coordinate of points, sorted: of some thousands of them, as all take milliseconds and say the same. */
function some(p: Float32Array, column: number): Float32Array {
  const n = p.length / 2, step = Math.max(1, Math.floor(n / FITTED)), out = new Float32Array(Math.ceil(n / step));
  for (let i = 0; i < out.length; i++) out[i] = p[2 * step * i + column];
  return out.sort();
}
