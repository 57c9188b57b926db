// The lessons, moved by hand: KL, reparameterisation and beta, on an example of the run.

import { useEffect, useMemo, useState } from "preact/hooks";
import { gaussianKl, gradients, normals, onTheWay, rate, TARGET } from "./lessons";
import { Choice, Note, number, Pick, Picture, Slider } from "./parts";
import type { Example, Session } from "./session";

type Lesson = "kl" | "draws" | "beta";
const STRIP = 8, DRAWS = 8, SINGLES = 300;
const WAY = Array.from({ length: 15 }, (_, i) => i / 10); // from the prior to the encoder's posterior and beyond

export function Lessons({ session: s }: { session: Session }) {
  const [lesson, setLesson] = useState<Lesson>("kl"), [busy, setBusy] = useState(false);
  const refused = s.about.can.lessons;
  const pick = async (from: "any" | "held" | "own") => {
    setBusy(true);
    try { await s.take(from); } catch {} finally { setBusy(false); }
  };
  useEffect(() => { if (!refused && !s.example) pick(s.own ? "own" : "any"); }, [s]);
  if (refused) return <Note>{refused}</Note>;
  const e = s.example;
  return (
    <>
      <div class="example">
        {e ? <Picture about={s.about} values={e.x} size={72} label="The example" /> : <div class="blank" />}
        <div class="beside">
          <p class="quiet">{e ? e.of : "Encoding an example …"}</p>
          <div class="buttons"><button onClick={() => pick("any")} disabled={busy}>Another</button><button onClick={() => pick("held")} disabled={busy}>The held image</button>{s.own && <button onClick={() => pick("own")} disabled={busy}>Your image</button>}</div>
        </div>
      </div>
      <Choice label="Lesson" value={lesson} options={[["kl", "KL"], ["draws", "z = μ + σ ε"], ["beta", "β"]]} onPick={setLesson} />
      {e && lesson === "kl" && <Divergence session={s} example={e} key={e.at} />}
      {e && lesson === "draws" && <Reparameterised session={s} example={e} key={e.at} />}
      {e && lesson === "beta" && <TradeOff session={s} example={e} key={e.at} />}
    </>
  );
}

function Divergence({ session: s, example: e }: { session: Session; example: Example }) {
  const own = (d: number) => gaussianKl(e.mean[d], e.std[d]).kl;
  const order = useMemo(() => s.about.units.map((_, d) => d).sort((a, b) => own(b) - own(a)), [e]);
  const [unit, setUnit] = useState(order[0]), [mu, setMu] = useState(e.mean[order[0]]), [sigma, setSigma] = useState(e.std[order[0]]);
  const set = (m: number, v: number, d = unit) => { setMu(m); setSigma(v); const z = Float64Array.from(e.mean); z[d] = m; s.hold(z, true); };
  const choose = (d: number) => { setUnit(d); set(e.mean[d], e.std[d], d); };
  const { kl, reverse, trace, distance, log_determinants } = gaussianKl(mu, sigma), all = rate(e.mean, e.std);
  const grid = Array.from({ length: 121 }, (_, i) => -6 + i / 10), widths = Array.from({ length: 100 }, (_, i) => 0.03 * (i + 1));
  const bell = (m: number, v: number) => grid.map((x): [number, number] => [x, Math.exp(-0.5 * ((x - m) / v) ** 2) / (v * Math.sqrt(2 * Math.PI))]);
  const top = Math.max(0.42, 0.42 / sigma);
  return (
    <>
      {s.dim > 1 && <Pick label="Unit" value={String(unit)} options={order.map((d) => [String(d), `${s.about.units[d]} (${number(own(d), 2)} nats)`])} onPick={(v) => choose(+v)} />}
      <div class="sliders">
        <Slider name="mu of q" label={<b>μ</b>} value={mu} low={-5} high={5} onMove={(v) => set(v, sigma)} />
        <Slider name="sigma of q" label={<b>σ</b>} value={sigma} low={0.02} high={3} onMove={(v) => set(mu, v)} />
      </div>
      <Plot label={`q of mean ${number(mu, 2)} and deviation ${number(sigma, 2)} over the prior of mean 0 and deviation 1`} x={[-6, 6]} y={[0, top]} height={96}
        lines={[{ points: bell(0, 1), kind: "p", name: "p(z)" }, { points: bell(mu, sigma), kind: "q", name: "q(z|x)" }]} />
      <p class="formula">KL(q‖p) = ½ (σ² + μ² − 1 − log σ²)<br />= ½ ({number(trace, 3)} + {number(distance, 3)} − 1 {log_determinants < 0 ? "−" : "+"} {number(Math.abs(log_determinants), 3)}) = <b class="kl">{number(kl, 3)} nats</b></p>
      <div class="pair plots">
        <Plot label={`KL over mu, now ${number(kl, 2)} nats`} x={[-5, 5]} y={[0, 15]} height={84} under="μ" lines={[{ points: grid.filter((x) => Math.abs(x) <= 5).map((x) => [x, gaussianKl(x, sigma).kl]), kind: "q" }]} dot={[mu, kl]} />
        <Plot label={`KL over sigma, now ${number(kl, 2)} nats`} x={[0, 3]} y={[0, 15]} height={84} under="σ" lines={[{ points: widths.map((v) => [v, gaussianKl(mu, v).kl]), kind: "q" }]} dot={[sigma, kl]} />
      </div>
      <dl><dt>the other way, KL(p‖q)</dt><dd>{number(reverse, 3)} nats</dd>{s.dim > 1 && <><dt>the example's rate, all units</dt><dd>{number(all, 3)} nats</dd><dt>with this unit as set</dt><dd>{number(all - own(unit) + kl, 3)} nats</dd></>}</dl>
      <div class="buttons"><button onClick={() => choose(unit)}>As the encoder has it</button><button onClick={() => set(0, 1)}>As the prior has it</button></div>
    </>
  );
}

function Reparameterised({ session: s, example: e }: { session: Session; example: Example }) {
  const [noise, setNoise] = useState(() => Array.from({ length: STRIP }, () => normals(s.dim))), [wide, setWide] = useState(1), [images, setImages] = useState<Float32Array | null>(null);
  const [mu, setMu] = useState(e.mean[0]), [sigma, setSigma] = useState(Math.max(0.1, e.std[0])), [singles, setSingles] = useState(() => normals(SINGLES));
  const codes = noise.map((eps) => Float64Array.from(e.mean, (m, d) => m + wide * e.std[d] * eps[d]));
  useEffect(() => {
    let on = true;
    s.draws = codes;
    s.changed();
    s.decode(codes, e.label).then((found) => on && setImages(found)).catch(() => {});
    return () => { on = false; };
  }, [noise, wide]);
  useEffect(() => () => { s.draws = []; s.changed(); }, []);
  const found = gradients(mu, sigma, singles), names = ["score function", "with baseline", "reparameterised"];
  const spread = found.map((g) => Math.hypot(...g.map((v) => v - mean(g))) / Math.sqrt(g.length - 1));
  const n = (v: number) => number(v, 2), first = codes[0];
  return (
    <>
      <p class="formula">z = μ + σ ε, ε from N(0, I)<br />{s.about.units[0]}: {n(e.mean[0])} + {n(wide * e.std[0])} · {n(noise[0][0])} = <b>{n(first[0])}</b></p>
      <Slider name="Times the encoder's sigma" label="times the encoder's σ" value={wide} low={0} high={4} onMove={setWide} />
      <div class="strip" role="group" aria-label="What the draws decode to">{codes.map((z, i) => <Picture key={i} about={s.about} values={images} index={i} size={70} label={`Draw ${i + 1}`} onClick={() => s.hold(z, true)} />)}</div>
      <div class="buttons"><button onClick={() => setNoise(Array.from({ length: STRIP }, () => normals(s.dim)))}>Draw ε again</button><span class="quiet">the draws are on the map</span></div>
      <p class="quiet">ε stays while σ moves: z moves smoothly, so the loss has a slope in μ and σ.</p>
      <div class="block">
        <h3>Why: the gradient of E f(z) in μ, f(z) = (z − {TARGET})²</h3>
        <Slider name="mu of the gradient" label={<b>μ</b>} value={mu} low={-4} high={4} onMove={setMu} />
        <Slider name="sigma of the gradient" label={<b>σ</b>} value={sigma} low={0.05} high={3} onMove={setSigma} />
        <Spread rows={found} names={names} exact={2 * (mu - TARGET)} />
        <table><thead><tr><th scope="col">{SINGLES} single draws</th><th scope="col">mean</th><th scope="col">spread</th></tr></thead>
          <tbody>{names.map((name, i) => <tr key={i}><th scope="row">{name}</th><td>{n(mean(found[i]))}</td><td>{n(spread[i])}</td></tr>)}<tr><th scope="row">exact</th><td>{n(2 * (mu - TARGET))}</td><td /></tr></tbody></table>
        <button onClick={() => setSingles(normals(SINGLES))}>Draw again</button>
      </div>
    </>
  );
}

function TradeOff({ session: s, example: e }: { session: Session; example: Example }) {
  const [parts, setParts] = useState<{ D: number[]; R: number[] } | null>(null), [beta, setBeta] = useState(s.about.beta ?? 1), [t, setT] = useState<number | null>(null), [image, setImage] = useState<Float32Array | null>(null), [said, setSaid] = useState("");
  useEffect(() => {
    let on = true;
    const noise = Array.from({ length: DRAWS }, () => normals(s.dim)), ways = WAY.map((w) => onTheWay(e.mean, e.std, w));
    // the same draws all along, so that the curve is smooth
    const codes = ways.flatMap((q) => noise.map((eps) => Array.from(q.mean, (m, d) => m + q.std[d] * eps[d])));
    s.ask("distortion", { image: Array.from(e.input), z: codes, ...(s.about.conditional ? { label: e.label } : {}) }).then(({ arrays }) => {
      const nats = arrays.nats.data;
      if (on) setParts({ D: WAY.map((_, i) => mean(nats.subarray(i * DRAWS, (i + 1) * DRAWS))), R: ways.map((q) => rate(q.mean, q.std)) });
    }).catch((error) => on && setSaid(error.message));
    return () => { on = false; };
  }, [e]);
  const best = parts ? WAY.reduce((b, _, i) => (parts.D[i] + beta * parts.R[i] < parts.D[b] + beta * parts.R[b] ? i : b), 0) : 10;
  const at = t == null ? best : Math.round(10 * t);
  useEffect(() => {
    let on = true;
    s.decode([onTheWay(e.mean, e.std, WAY[at]).mean], e.label).then((found) => on && setImage(found)).catch(() => {});
    return () => { on = false; };
  }, [at, e]);
  if (s.about.can.distortion) return <Note>{s.about.can.distortion}</Note>;
  if (said) return <Note kind="warn">{said}</Note>;
  if (!parts) return <Note>Measuring distortions …</Note>;
  const { D, R } = parts, n = (v: number) => number(v, 1), low = Math.min(...D), high = Math.max(...D), wide = Math.max(...R) * 1.05, margin = 0.06 * (high - low || 1);
  return (
    <>
      <p class="quiet">q moves from the prior (t = 0) to the encoder's q (t = 1) and beyond: mean tμ, deviation σᵗ. Its rate R and the distortion D of the example, {DRAWS} draws each:</p>
      <div class="sliders">
        <Slider name="beta" label={<b>β</b>} value={beta} low={0} high={20} onMove={(v) => { setBeta(v); setT(null); }} />
        <Slider name="t, from the prior to the encoder" label={<b>t{t == null ? ", the best for this β" : ""}</b>} value={WAY[at]} low={0} high={1.4} onMove={setT} />
      </div>
      <div class="pair">
        <figure><Picture about={s.about} values={e.x} size={84} label="The example" /><figcaption>the example</figcaption></figure>
        <figure><Picture about={s.about} values={image} size={84} label={`What the mean at t = ${number(WAY[at], 1)} decodes to`} /><figcaption>decoded at t = {number(WAY[at], 1)}</figcaption></figure>
      </div>
      <p class="formula">−(D + β R) = −({n(D[at])} + {number(beta, 2)} · {n(R[at])}) = <b class="bound">{n(-(D[at] + beta * R[at]))} nats</b></p>
      <Plot label={`Distortion over rate; at t = ${number(WAY[at], 1)} ${n(D[at])} and ${n(R[at])} nats`} x={[0, wide]} y={[low - margin, high + margin]} height={150} under="R, nats" beside="D, nats"
        lines={[{ points: R.map((r, i) => [r, D[i]] as [number, number]), kind: "q", marks: true }, { points: [[0, D[at] + beta * R[at]], [wide, D[at] + beta * (R[at] - wide)]], kind: "p" }]} dot={[R[at], D[at]]} />
      <dl><dt>at the encoder's q (t = 1)</dt><dd>D {n(D[10])}, R {n(R[10])}</dd><dt>bound there for this β</dt><dd>{n(-(D[10] + beta * R[10]))} nats</dd><dt>best for this β</dt><dd>t = {number(WAY[best], 1)}</dd></dl>
      <div class="buttons"><button onClick={() => setT(null)} disabled={t == null}>The best t</button>{s.about.beta != null && <button onClick={() => { setBeta(s.about.beta!); setT(null); }}>β of the training ({number(s.about.beta, 1)})</button>}</div>
      <p class="quiet">The thin line has slope −β: on it the bound is the same. A greater β pays for less rate, and the image forgets.</p>
    </>
  );
}

interface Line { points: [number, number][]; kind: "p" | "q"; name?: string; marks?: boolean }

function Plot(p: { label: string; x: [number, number]; y: [number, number]; height: number; lines: Line[]; dot?: [number, number]; under?: string; beside?: string }) {
  const X = (x: number) => (300 * (x - p.x[0])) / (p.x[1] - p.x[0]), Y = (y: number) => p.height - (p.height * (y - p.y[0])) / (p.y[1] - p.y[0]);
  const said = (v: number) => (Math.abs(v) < 100 ? +v.toPrecision(2) : Math.round(v)).toString().replace("-", "−");
  return (
    <svg class="plot" viewBox={`0 -4 300 ${p.height + 20}`} role="img" aria-label={p.label}>
      <clipPath id={`clip${p.height}`}><rect x="0" y="-4" width="300" height={p.height + 4} /></clipPath>
      <line class="axis" x1="0" x2="300" y1={p.height} y2={p.height} />
      <g clip-path={`url(#clip${p.height})`}>
        {p.lines.map((line, i) => <path key={i} class={line.kind} d={line.points.map(([x, y], k) => `${k ? "L" : "M"}${X(x).toFixed(1)} ${Y(y).toFixed(1)}`).join("")} />)}
        {p.lines.filter((line) => line.marks).flatMap((line) => line.points.map(([x, y], k) => <circle key={k} class="mark" cx={X(x)} cy={Y(y)} r="2" />))}
        {p.dot && <circle class="dot" cx={X(p.dot[0])} cy={Math.max(0, Y(p.dot[1]))} r="4.5" />}
      </g>
      {p.lines.filter((line) => line.name).map((line, i) => <text key={i} class={line.kind} x={4} y={10 + 14 * i}>{line.name}</text>)}
      {p.beside && <text x="300" y="10" text-anchor="end">{p.beside} {said(p.y[0])} to {said(p.y[1])}</text>}
      <text x="0" y={p.height + 14}>{said(p.x[0])}</text><text x="150" y={p.height + 14} text-anchor="middle">{p.under}</text><text x="300" y={p.height + 14} text-anchor="end">{said(p.x[1])}</text>
    </svg>
  );
}

/** Gradients of single draws, a row for each estimator, and the exact one. */
function Spread({ rows, names, exact }: { rows: Float64Array[]; names: string[]; exact: number }) {
  const all = rows.flatMap((row) => [...row]).map((v) => Math.abs(v - exact)).sort((a, b) => a - b), far = all[Math.floor(0.97 * all.length)] || 1;
  const X = (v: number) => 150 + (145 * (v - exact)) / far;
  return (
    <svg class="plot" viewBox="0 0 300 84" role="img" aria-label={`Gradients by single draws about the exact ${number(exact, 2)}`}>
      <line class="exact" x1="150" x2="150" y1="0" y2="72" />
      {rows.map((row, r) => Array.from(row, (v, i) => <circle key={`${r}.${i}`} class={`e${r}`} cx={Math.max(1, Math.min(299, X(v))).toFixed(1)} cy={(12 + 24 * r + 7 * Math.sin(i * 12.9)).toFixed(1)} r="1.6" />))}
      {names.map((name, r) => <text key={r} x="2" y={9 + 24 * r}>{name}</text>)}
      <text x="150" y="83" text-anchor="middle">{number(exact, 2)}</text>
    </svg>
  );
}

function mean(values: ArrayLike<number>): number {
  let sum = 0;
  for (let i = 0; i < values.length; i++) sum += values[i];
  return sum / values.length;
}
