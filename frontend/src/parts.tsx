// Small parts that the panels share.

import type { ComponentChildren } from "preact";
import { useEffect, useRef } from "preact/hooks";
import { bars, canvasOf, pixels } from "./images";
import type { About, Unit } from "./session";

export function Picture(p: { about: About; values: ArrayLike<number> | null; index?: number; size: number; label: string; onClick?: () => void; on?: boolean }) {
  const ref = useRef<HTMLCanvasElement>(null);
  const [, H, W] = p.about.image ? p.about.shape : [1, 48, 48];
  useEffect(() => {
    const canvas = ref.current;
    if (!canvas) return;
    const c = canvas.getContext("2d")!;
    c.clearRect(0, 0, canvas.width, canvas.height);
    if (!p.values) return;
    const shown = p.about.image ? canvasOf(pixels(p.about, p.values, p.index ?? 0)) : bars(p.values, p.index ?? 0, p.about.shape[0], 48, "#7a8292");
    c.drawImage(shown, 0, 0);
  });
  const style = { width: `${p.size}px`, height: `${(p.size * H) / W}px`, imageRendering: p.size > 2.5 * W ? "pixelated" : "auto" } as any;
  const canvas = <canvas ref={ref} width={W} height={H} style={style} role="img" aria-label={p.label} />;
  if (!p.onClick) return canvas;
  return <button class={"bare" + (p.on ? " on" : "")} onClick={p.onClick} title={p.label} aria-label={p.label}>{canvas}</button>;
}

export function Choice<T extends string>(p: { label: string; value: T; options: [T, string][]; onPick: (v: T) => void; small?: boolean }) {
  return (
    <div class={"choice" + (p.small ? " small" : "")} role="group" aria-label={p.label}>
      {p.options.map(([value, text]) => (
        <button key={value} aria-pressed={p.value === value} onClick={() => p.onPick(value)}>{text}</button>
      ))}
    </div>
  );
}

export function Pick(p: { label: string; value: string; options: [string, string][]; onPick: (v: string) => void }) {
  return (
    <label class="pick">
      <span>{p.label}</span>
      <select value={p.value} onChange={(e) => p.onPick(e.currentTarget.value)}>
        {p.options.map(([value, text]) => <option key={value} value={value}>{text}</option>)}
      </select>
    </label>
  );
}

export function Slider(p: { label: ComponentChildren; name: string; value: number; low: number; high: number; onMove: (v: number) => void; end?: ComponentChildren; dead?: boolean; unit?: Unit; most?: number }) {
  const share = ((Math.min(p.high, Math.max(p.low, p.value)) - p.low) / (p.high - p.low)) * 100;
  return (
    <div class={"slider" + (p.dead ? " dead" : "")}>
      <div class="row">
        <span class="what">{p.label}</span>
        <span class="value">{p.value.toFixed(2).replace("-", "−")}</span>
        {p.end}
      </div>
      <input type="range" min={p.low} max={p.high} step={(p.high - p.low) / 400} value={p.value} aria-label={p.name}
        style={{ "--share": `${share}%` } as any} onInput={(e) => p.onMove(+e.currentTarget.value)} />
    </div>
  );
}

export function Note(p: { children: ComponentChildren; kind?: "warn" | "good" }) {
  return <p class={"note " + (p.kind ?? "")}>{p.children}</p>;
}

export const number = (v: number | null | undefined, digits = 1): string =>
  v == null || !isFinite(v) ? "–" : v.toLocaleString("en", { maximumFractionDigits: digits, minimumFractionDigits: digits }).replace("-", "−");
