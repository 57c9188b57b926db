import type { Rgb } from "./images";

// Ten hues of about the same weight, in an order in which neighbours differ; more classes go around again, paler.
const CLASSES: Rgb[] = [
  [76, 120, 200], [232, 129, 62], [62, 160, 108], [214, 84, 92], [142, 108, 196],
  [148, 110, 82], [222, 120, 180], [128, 134, 145], [184, 176, 52], [48, 172, 190],
];
const RAMP: Rgb[] = [[68, 44, 120], [52, 96, 148], [38, 142, 140], [102, 190, 98], [244, 224, 72]];
const HEAT: Rgb[] = [[30, 36, 70], [92, 60, 130], [176, 74, 122], [236, 128, 86], [250, 220, 150]];

export function classColour(i: number): Rgb {
  const [r, g, b] = CLASSES[((i % 10) + 10) % 10], pale = Math.min(0.6, 0.25 * Math.floor(i / 10));
  return [r + pale * (255 - r), g + pale * (255 - g), b + pale * (255 - b)];
}

const along = (stops: Rgb[], t: number): Rgb => {
  const x = Math.min(0.9999, Math.max(0, t)) * (stops.length - 1), i = Math.floor(x), f = x - i;
  return stops[i].map((v, c) => v + f * (stops[i + 1][c] - v)) as Rgb;
};
export const ramp = (t: number): Rgb => along(RAMP, t);
export const heat = (t: number): Rgb => along(HEAT, t);
export const css = (c: Rgb, alpha = 1): string => `rgb(${c.map(Math.round).join(" ")} / ${alpha})`;
