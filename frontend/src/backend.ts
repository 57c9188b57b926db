// What answers the page's questions: a server over HTTP, the file itself, or a notebook. All speak the same packed form.

export interface Tensor {
  shape: number[];
  data: Float32Array | Int32Array | Int16Array | Uint8Array;
}

export interface Answer {
  facts: any;
  arrays: Record<string, Tensor>;
}

/** Images [up * across + 1, C, H, W] of 0 to 255 at cells of the lattice of a level, from row j and column i, and last the one at 0; see lattice.py. */
export interface Early {
  level: number; i: number; j: number; across: number; up: number;
  images: Uint8Array;
}

export interface Backend {
  /** A sentence about where answers come from. */
  about: string;
  /** Whether all over the map it is asked for fewer points, as it is slow. */
  coarse?: boolean;
  /** Whether it gives all codes at once, however many are asked for, and in an order of chance. */
  whole?: boolean;
  /** Where the model takes a while to start: when it has. */
  ready?: Promise<unknown>;
  /** Images that are there before the model runs. */
  early?: Early;
  runs(): Promise<{ id: string; name: string }[]>;
  ask(run: string, question: string, values?: object): Promise<Answer>;
}

export class Refused extends Error {
  constructor(readonly status: number, sentence: string) {
    super(sentence);
  }
}

const KINDS: Record<string, any> = { float32: Float32Array, int32: Int32Array, int16: Int16Array, uint8: Uint8Array };

/** The facts and arrays of a packed answer; see packing.py. */
export function unpack(buffer: ArrayBuffer, from = 0): Answer {
  const size = new DataView(buffer).getUint32(from, true);
  const head = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, from + 4, size)));
  const start = from + 4 + size;
  const arrays: Record<string, Tensor> = {};
  for (const { name, dtype, shape, at } of head.arrays) {
    const count = shape.reduce((a: number, b: number) => a * b, 1);
    arrays[name] = { shape, data: new KINDS[dtype](buffer, start + at, count) };
  }
  return { facts: head.facts, arrays };
}

export class HttpBackend implements Backend {
  about = "a local server";
  constructor(private root: string, private token: string) {}

  private async fetch(path: string, body?: object): Promise<Response> {
    let response: Response;
    try {
      response = await fetch(this.root + path, {
        method: body ? "POST" : "GET",
        headers: { "X-Zatlas-Token": this.token },
        body: body ? JSON.stringify(body) : undefined,
      });
    } catch {
      throw new Refused(0, "The server does not answer: it was stopped, or this page is from an earlier one.");
    }
    if (response.ok) return response;
    let sentence = `The server answers ${response.status}.`;
    try {
      sentence = (await response.json()).error ?? sentence;
    } catch {}
    throw new Refused(response.status, sentence.charAt(0).toUpperCase() + sentence.slice(1));
  }

  async runs() {
    return (await (await this.fetch("/api/runs")).json()).runs;
  }

  async ask(run: string, question: string, values: object = {}) {
    const response = await this.fetch(`/api/runs/${run}/${question}`, values);
    return unpack(await response.arrayBuffer());
  }
}
