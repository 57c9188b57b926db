// Values of images made visible.

export type Rgb = [number, number, number];

export interface Look {
  shape: number[]; // [C, H, W]
  range: [number, number];
}

/** One image of an array [n, C, H, W] as pixels; grey ones may run between two colours. */
export function pixels(look: Look, values: ArrayLike<number>, index = 0, ends?: [Rgb, Rgb]): ImageData {
  const [C, H, W] = look.shape, size = H * W, from = index * C * size;
  const [low, high] = look.range, times = 255 / (high - low || 1);
  const out = new Uint8ClampedArray(4 * size);
  for (let p = 0; p < size; p++) {
    if (C === 1) {
      let v = (values[from + p] - low) * times;
      v = v < 0 ? 0 : v > 255 ? 255 : v;
      if (ends) {
        const t = v / 255;
        for (let c = 0; c < 3; c++) out[4 * p + c] = ends[0][c] + t * (ends[1][c] - ends[0][c]);
      } else out[4 * p] = out[4 * p + 1] = out[4 * p + 2] = v;
    } else for (let c = 0; c < 3; c++) out[4 * p + c] = (values[from + Math.min(c, C - 1) * size + p] - low) * times;
    out[4 * p + 3] = 255;
  }
  return new ImageData(out, W, H);
}

/** Vectors, which are no images, as bars from the middle. */
export function bars(values: ArrayLike<number>, index: number, count: number, width: number, ink: string): HTMLCanvasElement {
  const canvas = document.createElement("canvas");
  canvas.width = width;
  canvas.height = width;
  const c = canvas.getContext("2d")!;
  let far = 1e-9;
  for (let i = 0; i < count; i++) far = Math.max(far, Math.abs(values[index * count + i]));
  c.fillStyle = ink;
  for (let i = 0; i < count; i++) {
    const h = (values[index * count + i] / far) * (width / 2 - 2);
    c.fillRect((i / count) * width + 0.5, width / 2 - Math.max(h, 0), Math.max(1, width / count - 1), Math.max(1, Math.abs(h)));
  }
  return canvas;
}

export function canvasOf(image: ImageData): HTMLCanvasElement {
  const canvas = document.createElement("canvas");
  canvas.width = image.width;
  canvas.height = image.height;
  canvas.getContext("2d")!.putImageData(image, 0, 0);
  return canvas;
}

/** A picture scaled into a model's input, [C, H, W] in [0, 1]; cut to its middle, or fitted in whole. */
export function toInput(source: CanvasImageSource, width: number, height: number, shape: number[], whole: boolean, ground: number): Float32Array {
  const [C, H, W] = shape;
  let canvas = document.createElement("canvas");
  const scale = (whole ? Math.min : Math.max)(W / width, H / height);
  // by halves, as one large step would skip pixels
  let from: CanvasImageSource = source, w = width, h = height;
  while (w * scale < w / 2 && w > 2 && h > 2) {
    const half = document.createElement("canvas");
    half.width = Math.ceil(w / 2);
    half.height = Math.ceil(h / 2);
    const c = half.getContext("2d")!;
    c.imageSmoothingQuality = "high";
    c.drawImage(from, 0, 0, half.width, half.height);
    [from, w, h] = [half, half.width, half.height];
    if (w * Math.max(W / w, H / h) >= w / 2) break;
  }
  canvas.width = W;
  canvas.height = H;
  const c = canvas.getContext("2d", { willReadFrequently: true })!;
  const grey = Math.round(255 * ground);
  c.fillStyle = `rgb(${grey},${grey},${grey})`;
  c.fillRect(0, 0, W, H);
  const fit = (whole ? Math.min : Math.max)(W / w, H / h);
  c.imageSmoothingQuality = "high";
  c.drawImage(from, (W - w * fit) / 2, (H - h * fit) / 2, w * fit, h * fit);
  const data = c.getImageData(0, 0, W, H).data;
  const out = new Float32Array(C * H * W);
  for (let p = 0; p < H * W; p++) {
    const [r, g, b] = [data[4 * p], data[4 * p + 1], data[4 * p + 2]];
    if (C === 1) out[p] = (0.299 * r + 0.587 * g + 0.114 * b) / 255;
    else for (let k = 0; k < C; k++) out[k * H * W + p] = [r, g, b][Math.min(k, 2)] / 255;
  }
  return out;
}

export function download(name: string, content: Blob): void {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(content);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}
