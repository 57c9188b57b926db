// One run in the page: what is known of it, and the code that is held.

import type { Answer, Backend, Tensor } from "./backend";
import * as space from "./space";
import type { Plane, Vec } from "./space";

export interface About {
  name: string; path: string; kind: string; title: string; data: string;
  latent_dim: number; units: string[]; shape: number[]; image: boolean; range: [number, number]; dark: boolean;
  labels: { kind: "none" | "class" | "real"; names: string[] };
  conditional: boolean; standard_prior: boolean; step: number; status: string; loss: number | null; beta: number | null;
  can: Record<string, string>;
  holds?: string;
}

export interface Codes {
  n: number;
  mean: Float32Array;
  std: Float32Array | null;
  labels: ArrayLike<number> | null;
  rows: Int32Array | null;
  index: Int32Array | null; // of each in the order in which they came; null: they lie in that order
  factors: { name: string; classes: boolean; values: ArrayLike<number> }[];
  of: string;
}

export interface Unit {
  name: string; unit: number; rate_nats: number | null; dead: boolean; effect_share: number; where: string | null; says: string;
}

export interface Direction { name: string; sentence: string; scale: number; threshold: number; vector: Float64Array; facts: any }

export interface Own {
  image: Float32Array; mean: Float64Array; std: Float64Array | null; reconstruction: Float32Array; facts: any;
}

/** An image with its posterior, for the lessons. */
export interface Example { x: Float32Array; input: Float32Array; mean: Float64Array; std: Float64Array; label: number; of: string; at: number }

export type PlaneChoice = { kind: "units"; i: number; j: number } | { kind: "pca" } | { kind: "points"; codes: Float64Array[] };

export interface Film { steps: number[]; images: Uint8Array; shape: number[]; curve: [number, number, string][] }

export class Session {
  film: Film | null = null;
  live = false; // whether the training is followed
  private polling = false;
  about!: About;
  codes: Codes | null = null;
  placed: Float32Array = new Float32Array();
  private cells: space.Near | null = null;
  choice: PlaneChoice = { kind: "units", i: 0, j: 1 };
  plane!: Plane;
  base!: Float64Array;
  label = 0;
  held = false;
  holding: Float32Array | null = null; // the image at base
  hover: { z: Float64Array; image: Float32Array | null; row: number; original: ArrayLike<number> | null } | null = null;
  units: Unit[] | null = null;
  locked = new Set<number>();
  stops: { z: Float64Array; image: Float32Array | null }[] = [];
  path: { z: Float64Array[]; images: Float32Array; nats: ArrayLike<number> | null; kind: string } | null = null;
  groups: [number[], number[]] = [[], []]; // indices of codes
  directions: Direction[] = [];
  found: Direction | null = null;
  own: Own | null = null;
  example: Example | null = null;
  draws: Vec[] = []; // codes drawn for a lesson, shown on the map
  typical: number[] | null = null;
  support: number | null = null; // log density of the held code
  hidden = new Set<number>();
  version = 0; // of the slice: what was decoded for another is stale
  problem = "";

  constructor(readonly backend: Backend, readonly id: string, readonly changed: () => void) {}

  get dim(): number { return this.about.latent_dim; }
  get size(): number { return this.about.shape.reduce((a, b) => a * b, 1); }

  async ask(question: string, values: object = {}): Promise<Answer> {
    try {
      return await this.backend.ask(this.id, question, values);
    } catch (error: any) {
      this.problem = String(error?.message ?? error);
      this.changed();
      throw error;
    }
  }

  async open(): Promise<void> {
    this.about = (await this.ask("about")).facts;
    this.base = space.zeros(this.dim);
    if (this.dim < 2) this.choice = { kind: "units", i: 0, j: 0 };
    this.replane();
    await this.load(4000);
    const { early } = this.backend, { size } = this, [low, high] = this.about.range;
    if (early) {
      const middle = early.across * early.up * size; // where the image at 0 begins
      this.holding = Float32Array.from(early.images.subarray(middle, middle + size), (v) => low + (v / 255) * (high - low));
    }
    if (this.dim > 2) this.choose({ kind: "pca" });
    if (this.about.status === "running" && !this.about.can.snapshots && !this.about.can.follow) this.follow(true);
  }

  async load(n: number): Promise<void> {
    const { facts, arrays } = await this.ask("codes", { n });
    const [count, dim] = arrays.mean.shape;
    // in an order of chance, or the last class would lie on top
    const order = this.backend.whole ? null : shuffled(count);
    const picked = (t: Tensor | undefined, width: number): any => {
      if (!t || !order) return t?.data ?? null;
      const out = new (t.data.constructor as any)(count * width);
      for (let i = 0; i < count; i++) for (let d = 0; d < width; d++) out[i * width + d] = t.data[order[i] * width + d];
      return out;
    };
    this.codes = {
      n: count, mean: picked(arrays.mean, dim), std: picked(arrays.std, dim), labels: picked(arrays.labels, 1),
      rows: picked(arrays.rows, 1), index: order, of: facts.of,
      factors: facts.factors.map((f: any, i: number) => ({ ...f, values: picked(arrays[`factor${i}`], 1) })),
    };
    this.groups = [[], []];
    this.place();
    this.changed();
  }

  private place(): void {
    if (!this.codes) return;
    this.placed = space.project(this.plane, this.codes.mean, this.codes.n);
    this.cells = null;
  }

  choose(choice: PlaneChoice): void {
    this.choice = choice;
    this.replane();
    if (choice.kind === "pca" && !this.held) this.base = Float64Array.from(this.plane.origin);
  }

  replane(): void {
    const c = this.choice;
    if (c.kind === "pca" && this.codes) this.plane = space.principalPlane(this.codes.mean, this.codes.n, this.dim);
    else if (c.kind === "points")
      this.plane = space.planeThrough(c.codes[0], c.codes[1], c.codes[2]) ?? space.unitPlane(this.dim, 0, Math.min(1, this.dim - 1), this.about.units);
    else {
      const [i, j] = c.kind === "units" ? [c.i, c.j] : [0, Math.min(1, this.dim - 1)];
      this.plane = space.unitPlane(this.dim, i, j, this.about.units);
    }
    this.place();
    this.version++;
    this.changed();
  }

  /** Finds the code next to a place; made when first asked for. */
  get near(): space.Near | null { return this.codes ? (this.cells ??= new space.Near(this.placed)) : null; }
  /** Which example a code on the map is of. */
  row(i: number): number { return this.codes!.rows?.[i] ?? this.codes!.index?.[i] ?? i; }
  at(a: number, b: number): Float64Array { return space.codeAt(this.plane, this.base, a, b); }
  spot(z: Vec): [number, number] { return space.spot(this.plane, z); }
  code(i: number): Float64Array { return Float64Array.from(this.codes!.mean.subarray(i * this.dim, (i + 1) * this.dim)); }

  async decode(codes: Vec[], label = this.label): Promise<Float32Array> {
    const values: any = { z: codes.map((z) => Array.from(z)) };
    if (this.about.conditional) values.labels = [label];
    const { arrays } = await this.ask("decode", values);
    return arrays.mean.data as Float32Array;
  }

  /** Holds a code; locked units keep their values where it was not moved by hand. */
  hold(z: Vec, byHand = false): void {
    const next = Float64Array.from(z);
    if (!byHand) for (const u of this.locked) next[u] = this.base[u];
    const slid = this.dim > 2 && !sameSlice(this.plane, this.base, next);
    this.base = next;
    this.held = true;
    if (slid) this.version++;
    this.redecode();
    this.changed();
  }

  private want: Float64Array | null = null;
  private busy = false;
  async redecode(): Promise<void> {
    this.want = this.base;
    if (this.busy) return;
    this.busy = true;
    try {
      while (this.want) {
        const z: Float64Array = this.want;
        this.want = null;
        this.holding = await this.decode([z]);
        this.changed();
        if (this.typical && !this.want) {
          this.support = Number((await this.ask("density", { z: [Array.from(z)] })).arrays.log_density.data[0]);
          this.changed();
        }
      }
    } catch {} finally {
      this.busy = false;
    }
  }

  private wantHover: { z: Float64Array; row: number } | null = null;
  private busyHover = false;
  async over(z: Float64Array | null, row = -1): Promise<void> {
    if (!z) { this.hover = null; this.wantHover = null; this.changed(); return; }
    const before = this.hover;
    this.hover = { z, row, image: before?.image ?? null, original: before && before.row === row ? before.original : null };
    this.wantHover = { z, row };
    if (this.busyHover) return;
    this.busyHover = true;
    try {
      while (this.wantHover) {
        const wanted: { z: Float64Array; row: number } = this.wantHover;
        this.wantHover = null;
        const image = await this.decode([wanted.z]);
        if (this.hover) this.hover = { ...(this.wantHover ?? wanted), image, original: this.hover.original };
        this.changed();
        if (wanted.row >= 0 && this.hover && !this.hover.original && !this.about.can.examples && this.about.image) {
          const i = wanted.row, x = (await this.ask("examples", { rows: [this.row(i)] })).arrays.x;
          const now: Session["hover"] = this.hover; // it may have moved on meanwhile
          if (x && now && now.row === i) this.hover = { ...now, original: x.data };
          this.changed();
        }
      }
    } catch {} finally {
      this.busyHover = false;
    }
  }

  /** What the units do and how dense the data lie: asked for once the map stands. */
  async learn(): Promise<void> {
    if (!this.about.can.units && !this.units) {
      const { facts } = await this.ask("describe");
      this.units = facts.units;
      this.changed();
    }
  }

  async trust(): Promise<void> {
    if (this.about.can.density || this.typical) return;
    this.typical = (await this.ask("density", { z: [Array.from(this.base)] })).facts.typical;
    this.redecode();
  }

  async loadDirections(): Promise<void> {
    if (this.about.can.directions) return;
    const { facts, arrays } = await this.ask("directions");
    this.directions = facts.directions.map((f: any, i: number) => ({
      name: f.name, sentence: f.sentence, scale: f.scale, threshold: f.threshold, facts: f,
      vector: Float64Array.from(arrays.vectors.data.subarray(i * this.dim, (i + 1) * this.dim)),
    }));
    this.changed();
  }

  /** The images of the training's steps that are not here yet, and its curve. */
  async develop(): Promise<void> {
    const since = this.film ? this.film.steps[this.film.steps.length - 1] : -1;
    const { facts, arrays } = await this.ask("snapshots", { since }), before = this.film;
    if (!arrays.images) {
      if (before) this.film = { ...before, curve: facts.curve };
      return this.changed();
    }
    const more = arrays.images.data as Uint8Array, images = new Uint8Array((before?.images.length ?? 0) + more.length);
    if (before) images.set(before.images);
    images.set(more, before?.images.length ?? 0);
    this.film = { steps: [...(before?.steps ?? []), ...facts.steps], images, shape: arrays.images.shape, curve: facts.curve };
    this.changed();
  }

  /** Goes along with a training that is under way, until it ends. */
  follow(on: boolean): void {
    this.live = on;
    this.changed();
    if (!on) return;
    const step = async () => {
      if (!this.live) return;
      if (!this.polling) {
        this.polling = true;
        try {
          const { facts } = await this.ask("status");
          if (facts.newest > facts.step || facts.step > this.about.step) {
            this.about = facts.newest > facts.step ? (await this.ask("refresh")).facts : (await this.ask("about")).facts;
            await this.load(20_000);
            this.version++;
            this.redecode();
          }
          if (this.film) await this.develop();
          this.about.status = facts.status;
          if (facts.status !== "running") this.live = false;
        } catch {
          this.live = false;
        }
        this.polling = false;
        this.changed();
      }
      if (this.live) setTimeout(step, 2000);
    };
    step();
  }

  /** An example for the lessons: some code's image, or the image held, or the reader's own. */
  async take(from: "any" | "held" | "own"): Promise<void> {
    const { about } = this, [low, high] = about.range, encoded = async (x: Float32Array, label: number, of: string) => {
      const input = x.map((v) => Math.min(1, Math.max(0, (v - low) / (high - low || 1))));
      const { arrays } = await this.ask("encode", { image: Array.from(input), ...(about.conditional ? { label } : {}) });
      this.example = { x, input, mean: Float64Array.from(arrays.mean.data), std: Float64Array.from(arrays.std.data), label, of, at: (this.example?.at ?? 0) + 1 };
      this.hold(this.example.mean, true);
    };
    if (from === "own" && this.own) return encoded(Float32Array.from(this.own.image), this.label, "Your image, and the encoder's posterior of it.");
    if (from === "any" && this.codes?.n) {
      const i = Math.floor(Math.random() * this.codes.n), row = this.row(i);
      const label = about.conditional ? Number(this.codes.labels?.[i] ?? 0) : this.label;
      const x = about.can.examples ? undefined : (await this.ask("examples", { rows: [row] })).arrays.x;
      if (x) return encoded(Float32Array.from(x.data), label, `Example ${row} of the training data, and the encoder's posterior of it.`);
      return encoded(await this.decode([this.code(i)], label), label, "What the code of an example decodes to, and the encoder's posterior of that image.");
    }
    await encoded(await this.decode([this.base]), this.label, "What the held code decodes to, and the encoder's posterior of that image.");
  }

  /** Mean codes of the classes, from the codes that are here. */
  centroids(): { name: string; z: Float64Array; n: number }[] {
    const { codes, about } = this;
    if (!codes?.labels || about.labels.kind !== "class") return [];
    const sums = about.labels.names.map((name) => ({ name, z: space.zeros(this.dim), n: 0 }));
    for (let i = 0; i < codes.n; i++) {
      const one = sums[codes.labels[i]];
      if (!one) continue;
      one.n++;
      for (let d = 0; d < this.dim; d++) one.z[d] += codes.mean[i * this.dim + d];
    }
    for (const one of sums) if (one.n) one.z = one.z.map((v) => v / one.n);
    return sums.filter((one) => one.n);
  }
}

function sameSlice(plane: Plane, a: Vec, b: Vec): boolean {
  const gap = space.add(b, a, -1);
  const out = space.add(space.add(gap, plane.e1, -space.dot(gap, plane.e1)), plane.e2, -space.dot(gap, plane.e2));
  return space.norm(out) < 1e-6;
}

function shuffled(n: number): Int32Array {
  const order = new Int32Array(n);
  let seed = 12345;
  for (let i = 0; i < n; i++) {
    seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
    const j = Math.floor((seed / 2 ** 32) * (i + 1));
    order[i] = order[j];
    order[j] = i;
  }
  return order;
}
