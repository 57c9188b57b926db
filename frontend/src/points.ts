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

class PixelPoints implements Points {
  private places: Float32Array = new Float32Array();
  private colours: Uint8Array = new Uint8Array();
  constructor(private canvas: HTMLCanvasElement, private context: CanvasRenderingContext2D) {}
  set(places: Float32Array, colours: Uint8Array): void {
    this.places = places;
    this.colours = colours;
  }
  draw(view: View, width: number, height: number, ratio: number, radius: number, alpha: number): void {
    const r = Math.min(ratio, 1.5), w = Math.round(width * r), h = Math.round(height * r);
    const { canvas, context } = this;
    if (canvas.width !== w || canvas.height !== h) (canvas.width = w), (canvas.height = h);
    const image = context.createImageData(w, h), out = image.data, size = Math.max(1, Math.round(2 * radius * r)), s = view.scale * r;
    if (alpha)
      for (let i = 0; i < this.places.length / 2; i++) {
        if (!this.colours[4 * i + 3]) continue;
        const x = Math.round((this.places[2 * i] - view.x) * s + w / 2 - size / 2);
        const y = Math.round(h / 2 - (this.places[2 * i + 1] - view.y) * s - size / 2);
        if (x < 0 || y < 0 || x + size > w || y + size > h) continue;
        const a = (alpha * this.colours[4 * i + 3]) / 255;
        for (let v = y; v < y + size; v++)
          for (let u = x, at = 4 * (v * w + x); u < x + size; u++, at += 4) {
            const under = (out[at + 3] / 255) * (1 - a), over = a + under;
            for (let c = 0; c < 3; c++) out[at + c] = (this.colours[4 * i + c] * a + out[at + c] * under) / over;
            out[at + 3] = 255 * over;
          }
      }
    context.putImageData(image, 0, 0);
  }
}

/** Draws on a canvas, which is replaced by another where WebGL2 begins and does not come about. */
export function pointsOn(canvas: HTMLCanvasElement): { canvas: HTMLCanvasElement; points: Points } {
  const gl = canvas.getContext("webgl2", { antialias: false, premultipliedAlpha: true, preserveDrawingBuffer: true });
  if (gl)
    try {
      return { canvas, points: new GlPoints(canvas, gl) };
    } catch {
      const other = canvas.cloneNode() as HTMLCanvasElement;
      canvas.replaceWith(other);
      canvas = other;
    }
  return { canvas, points: new PixelPoints(canvas, canvas.getContext("2d")!) };
}

export function tinted(n: number, colour: (i: number) => Rgb | null): Uint8Array {
  const out = new Uint8Array(4 * n);
  for (let i = 0; i < n; i++) {
    const c = colour(i);
    if (!c) continue;
    out[4 * i] = c[0];
    out[4 * i + 1] = c[1];
    out[4 * i + 2] = c[2];
    out[4 * i + 3] = 255;
  }
  return out;
}
