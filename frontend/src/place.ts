// The state of the page in the address, so that a link brings it back.

import type { Shown } from "./map";
import type { View } from "./points";
import type { Session } from "./session";

export interface Place {
  view?: View; plane?: number[]; z?: number[]; label?: number; colour?: string; layers?: string; overlay?: string; tab?: string; stops?: number[][];
}

const numbers = (text: string | null): number[] | undefined => {
  if (!text) return undefined;
  const found = text.split(",").map(Number);
  return found.every((v) => Number.isFinite(v)) ? found : undefined;
};
const said = (values: ArrayLike<number>): string => Array.from(values, (v) => +v.toFixed(4)).join(",");

export function read(): Place {
  const at = new URLSearchParams(location.hash.slice(1)), view = numbers(at.get("v"));
  const one = (name: string, known: RegExp): string | undefined => { const v = at.get(name); return v && known.test(v) ? v : undefined; };
  const stops = at.get("s")?.split(";").map(numbers).filter((z): z is number[] => !!z).slice(0, 32);
  return {
    view: view?.length === 3 && view[2] > 0 ? { x: view[0], y: view[1], scale: view[2] } : undefined,
    plane: at.get("p") === "pca" ? [0] : numbers(at.get("p"))?.slice(0, 2),
    z: numbers(at.get("z")), label: numbers(at.get("l"))?.[0], stops,
    colour: one("c", /^(label|none|factor:\d+)$/), layers: one("m", /^(both|points|images)$/),
    overlay: one("o", /^(density|reencode|magnification)$/), tab: one("t", /^[a-z]+$/),
  };
}

export function write(s: Session, view: View, shown: Shown, tab: string): void {
  const at = new URLSearchParams();
  at.set("v", `${+view.x.toPrecision(6)},${+view.y.toPrecision(6)},${+view.scale.toPrecision(6)}`);
  if (s.choice.kind === "units" && s.dim > 2) at.set("p", `${s.choice.i},${s.choice.j}`);
  if (s.choice.kind === "pca") at.set("p", "pca");
  if (s.held) at.set("z", said(s.base));
  if (s.about.conditional && s.label) at.set("l", String(s.label));
  if (shown.colour !== "label") at.set("c", shown.colour);
  if (shown.layers !== "both") at.set("m", shown.layers);
  if (shown.overlay !== "none") at.set("o", shown.overlay);
  if (tab !== "units") at.set("t", tab);
  if (s.stops.length) at.set("s", s.stops.map((p) => said(p.z)).join(";"));
  const hash = "#" + at.toString().replace(/%2C/g, ",").replace(/%3A/g, ":").replace(/%3B/g, ";");
  if (hash !== location.hash) history.replaceState(null, "", hash);
}
