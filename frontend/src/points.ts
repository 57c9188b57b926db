// Many points on a canvas: WebGL2 where there is some, and else pixels written by hand.

import type { Rgb } from "./images";

export interface View {
  x: number; // the code coordinate in the middle
  y: number;
  scale: number; // pixels of the page per unit
}

export interface Points {
  set(places: Float32Array, colours: Uint8Array): void;
  draw(view: View, width: number, height: number, ratio: number, radius: number, alpha: number): void;
}

const VERTEX = `#version 300 es
in vec2 place; in vec4 colour; uniform vec4 view; uniform float size; out vec4 tint;
void main() {
  gl_Position = vec4((place - view.xy) * view.zw, 0.0, 1.0);
  gl_PointSize = size;
  tint = colour;
  if (colour.a == 0.0) gl_Position = vec4(2.0, 2.0, 2.0, 1.0);
}`;
const FRAGMENT = `#version 300 es
precision highp float; in vec4 tint; uniform float size; uniform float alpha; out vec4 shown;
void main() {
  float edge = 0.5 * size * (1.0 - 2.0 * length(gl_PointCoord - 0.5));
  float a = clamp(edge + 0.5, 0.0, 1.0) * tint.a * alpha;
  shown = vec4(tint.rgb * a, a);
}`;

class GlPoints implements Points {
  private program: WebGLProgram;
  private count = 0;
  private places: WebGLBuffer;
  private colours: WebGLBuffer;
  private at: Record<string, WebGLUniformLocation> = {};
  constructor(private canvas: HTMLCanvasElement, private gl: WebGL2RenderingContext) {
    const program = (this.program = gl.createProgram()!);
    for (const [kind, text] of [[gl.VERTEX_SHADER, VERTEX], [gl.FRAGMENT_SHADER, FRAGMENT]] as const) {
      const shader = gl.createShader(kind)!;
      gl.shaderSource(shader, text);
      gl.compileShader(shader);
      gl.attachShader(program, shader);
    }
    gl.linkProgram(program);
    if (!gl.getProgramParameter(program, gl.LINK_STATUS)) throw new Error("WebGL2 shaders do not link");
    gl.useProgram(program);
    this.places = gl.createBuffer()!;
    this.colours = gl.createBuffer()!;
    for (const [name, buffer, size, kind, normal] of [
      ["place", this.places, 2, gl.FLOAT, false],
      ["colour", this.colours, 4, gl.UNSIGNED_BYTE, true],
    ] as const) {
      gl.bindBuffer(gl.ARRAY_BUFFER, buffer);
      const where = gl.getAttribLocation(program, name);
      gl.enableVertexAttribArray(where);
      gl.vertexAttribPointer(where, size, kind, normal, 0, 0);
    }
    for (const name of ["view", "size", "alpha"]) this.at[name] = gl.getUniformLocation(program, name)!;
    gl.enable(gl.BLEND);
    gl.blendFunc(gl.ONE, gl.ONE_MINUS_SRC_ALPHA);
  }
  set(places: Float32Array, colours: Uint8Array): void {
    const { gl } = this;
    gl.bindBuffer(gl.ARRAY_BUFFER, this.places);
    gl.bufferData(gl.ARRAY_BUFFER, places as BufferSource, gl.STATIC_DRAW);
    gl.bindBuffer(gl.ARRAY_BUFFER, this.colours);
    gl.bufferData(gl.ARRAY_BUFFER, colours as BufferSource, gl.STATIC_DRAW);
    this.count = places.length / 2;
  }
  draw(view: View, width: number, height: number, ratio: number, radius: number, alpha: number): void {
    const { gl, canvas } = this;
    const [w, h] = [Math.round(width * ratio), Math.round(height * ratio)];
    if (canvas.width !== w || canvas.height !== h) (canvas.width = w), (canvas.height = h);
    gl.viewport(0, 0, w, h);
    gl.clearColor(0, 0, 0, 0);
    gl.clear(gl.COLOR_BUFFER_BIT);
    if (!alpha) return;
    gl.useProgram(this.program);
    gl.uniform4f(this.at.view, view.x, view.y, (2 * view.scale) / width, (2 * view.scale) / height);
    gl.uniform1f(this.at.size, 2 * radius * ratio);
    gl.uniform1f(this.at.alpha, alpha);
    gl.drawArrays(gl.POINTS, 0, this.count);
  }
}

const MARGIN = 120; // pixels

class PixelPoints implements Points {
  private places: Float32Array = new Float32Array();
  private colours: Uint32Array = new Uint32Array();
  private image: ImageData | null = null;
  constructor(private canvas: HTMLCanvasElement, private context: CanvasRenderingContext2D) {}
  private laid: { x: number; y: number; scale: number; key: string; margin: number } | null = null;
  set(places: Float32Array, colours: Uint8Array): void {
    this.places = places;
    this.colours = new Uint32Array(colours.buffer);
    this.laid = null;
  }
  /** Draws the points once with some beyond the edges, so that a map that is dragged only moves what was drawn. */
  draw(view: View, width: number, height: number, ratio: number, radius: number, alpha: number): void {
    const r = Math.min(ratio, 1.5), seen = [Math.round(width * r), Math.round(height * r)], s = view.scale * r;
    const { canvas, context } = this, key = [...seen, view.scale, radius, alpha].join();
    if (canvas.width !== seen[0] || canvas.height !== seen[1]) [canvas.width, canvas.height] = seen;
    const away = () => (this.laid ? [Math.round((this.laid.x - view.x) * s), Math.round((view.y - this.laid.y) * s)] : [0, 0]);
    if (this.laid?.key !== key || Math.max(...away().map(Math.abs)) > this.laid.margin) {
      // while it is zoomed every frame is drawn anew, and none is dragged
      const margin = this.laid?.scale === view.scale ? MARGIN : 0;
      this.laid = { x: view.x, y: view.y, scale: view.scale, key, margin };
      this.raster(view, seen[0] + 2 * margin, seen[1] + 2 * margin, r, radius, alpha);
    }
    const [dx, dy] = away();
    context.putImageData(this.image!, dx - this.laid!.margin, dy - this.laid!.margin);
  }
  private raster(view: View, w: number, h: number, r: number, radius: number, alpha: number): void {
    const { context, places, colours } = this;
    if (this.image?.width !== w || this.image.height !== h) this.image = context.createImageData(w, h);
    const out = new Uint32Array(this.image.data.buffer), size = Math.max(1, Math.round(2 * radius * r)), s = view.scale * r;
    out.fill(0);
    // a disc: where the pixels of a point are, from its first
    const disc: number[] = [];
    for (let v = 0; v < size; v++) {
      const cut = Math.round(size / 2 - Math.sqrt(Math.max(0, (size / 2) ** 2 - (v + 0.5 - size / 2) ** 2)));
      for (let u = cut; u < size - cut; u++) disc.push(v * w + u);
    }
    const pixels = disc.length, last = w - size, low = h - size, a = Math.round(255 * alpha), rest = 256 - a, shown = a << 24;
    const n = alpha ? places.length / 2 : 0, dx = w / 2 - size / 2 - view.x * s + 0.5, dy = h / 2 - size / 2 + view.y * s + 0.5;
    for (let i = 0; i < n; i++) {
      const colour = colours[i], x = Math.floor(places[2 * i] * s + dx), y = Math.floor(dy - places[2 * i + 1] * s);
      if (!colour || x < 0 || y < 0 || x > last || y > low) continue;
      const first = y * w + x, red = (colour & 0xff00ff) * a, green = ((colour >> 8) & 0xff) * a, fresh = (colour & 0xffffff) | shown;
      for (let k = 0; k < pixels; k++) {
        const at = first + disc[k], under = out[at];
        if (!under) out[at] = fresh;
        else { // over what is there: exact for opaque, near enough for the rest; red and blue at a time
          const more = under >>> 24, opaque = more + (((255 - more) * a) >> 8);
          out[at] = (opaque << 24) | (((red + (under & 0xff00ff) * rest) >>> 8) & 0xff00ff) | ((green + ((under >> 8) & 0xff) * rest) & 0xff00);
        }
      }
    }
  }
}

/** Draws on a canvas, which is replaced by another where WebGL2 begins and does not come about.
 *
 * WebGL2 that is worked out by the processor takes 100 ms for a frame of 57,000 points and is not taken: by hand it is 9. */
export function pointsOn(canvas: HTMLCanvasElement): { canvas: HTMLCanvasElement; points: Points } {
  const gl = canvas.getContext("webgl2", { antialias: false, premultipliedAlpha: true, preserveDrawingBuffer: true, failIfMajorPerformanceCaveat: true }) as WebGL2RenderingContext | null;
  const named = gl?.getExtension("WEBGL_debug_renderer_info");
  const slow = !!gl && /swiftshader|llvmpipe|software|basic render/i.test(String(gl.getParameter(named?.UNMASKED_RENDERER_WEBGL ?? gl.RENDERER)));
  if (gl)
    try {
      if (slow) throw new Error("WebGL2 without a graphics processor");
      return { canvas, points: new GlPoints(canvas, gl) };
    } catch {
      const other = canvas.cloneNode() as HTMLCanvasElement;
      canvas.replaceWith(other);
      canvas = other;
    }
  return { canvas, points: new PixelPoints(canvas, canvas.getContext("2d")!) };
}

/** A colour as it lies in the memory of a canvas; 0: not drawn. */
export const packed = ([r, g, b]: Rgb): number => new Uint32Array(Uint8Array.of(r, g, b, 255).buffer)[0];

export function tinted(n: number, colour: (i: number) => number): Uint8Array {
  const out = new Uint32Array(n);
  for (let i = 0; i < n; i++) out[i] = colour(i);
  return new Uint8Array(out.buffer);
}
