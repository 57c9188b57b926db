// What stands beside the map.

import { useEffect, useRef, useState } from "preact/hooks";
import { classColour, css } from "./colours";
import { canvasOf, download, pixels, toInput } from "./images";
import type { Overlay, Shown } from "./map";
import { Choice, Note, number, Pick, Picture, Slider } from "./parts";
import type { Direction, Session } from "./session";
import { add, linear, norm, spherical } from "./space";

interface Panel { session: Session; shown: Shown; onShow: (change: Partial<Shown>) => void; alone: boolean }

export function Held({ session: s, starting }: { session: Session; starting: boolean }) {
  const coordinates = Array.from(s.base).slice(0, 4).map((v) => number(v, 2)).join(", ") + (s.dim > 4 ? ", …" : "");
  const off = s.support != null && s.typical && s.support < s.typical[0];
  const hover = s.hover;
  return (
    <section class="held" aria-label="Decoded images">
      <figure>
        <Picture about={s.about} values={s.holding} size={132} label={`Decoded at the held code ${coordinates}`} />
        <figcaption>{s.held ? "Held" : "Middle"}</figcaption>
      </figure>
      <figure class={hover?.image ? "" : "empty"}>
        <Picture about={s.about} values={hover?.image ?? null} size={132} label="Decoded under the pointer" />
        {hover?.original && <span class="inset" title="The example itself"><Picture about={s.about} values={hover.original} size={46} label="The example itself" /></span>}
        <figcaption>{hover && starting ? "Comes with the model" : hover && hover.row >= 0 ? !s.codes?.rows ? (s.dim > 2 ? "An example's code" : "Near an example") : `${s.dim > 2 ? "Row" : "Near row"} ${s.codes?.rows?.[hover.row] ?? ""}` : "Under the pointer"}</figcaption>
      </figure>
      <p class="where"><code>z = ({coordinates})</code>
        {s.support != null && s.typical && (
          <span class={off ? "badge warn" : "badge good"} title={`Log density of the aggregate posterior: ${number(s.support)} nats; 99% of codes of the data are above ${number(s.typical[0])}.`}>
            {off ? "off the data" : "where data lie"}
          </span>
        )}
      </p>
      {s.about.conditional && s.about.labels.kind === "class" && <Classes session={s} />}
    </section>
  );
}

function Classes({ session: s }: { session: Session }) {
  const [images, setImages] = useState<Float32Array | null>(null);
  const key = Array.from(s.base).join();
  useEffect(() => {
    let on = true;
    const wait = setTimeout(async () => {
      const n = s.about.labels.names.length;
      const { arrays } = await s.ask("decode", { z: Array(n).fill(Array.from(s.base)), labels: Array.from({ length: n }, (_, i) => i) });
      if (on) setImages(arrays.mean.data as Float32Array);
    }, 60);
    return () => { on = false; clearTimeout(wait); };
  }, [key]);
  return (
    <div class="classes" role="group" aria-label="Class that codes are decoded in">
      {s.about.labels.names.map((name, i) => (
        <div key={i} class={i === s.label ? "one on" : "one"}>
          <Picture about={s.about} values={images} index={i} size={42} label={`Class ${name}`} on={i === s.label}
            onClick={() => { s.label = i; s.version++; s.redecode(); s.changed(); }} />
          <span>{name.slice(0, 12)}</span>
        </div>
      ))}
    </div>
  );
}

export function Units({ session: s }: Panel) {
  const [here, setHere] = useState<{ z: Float64Array; values: ArrayLike<number>; directions: Float64Array[]; at: number[] } | null>(null);
  const refused = s.about.can.units;
  const order = s.units ?? s.about.units.map((name, i) => ({ name, unit: i + 1, rate_nats: null, dead: false, effect_share: 0, where: null, says: "" }));
  const alive = order.filter((u) => !u.dead), dead = order.filter((u) => u.dead);
  const most = Math.max(1e-9, ...alive.map((u) => u.rate_nats ?? u.effect_share));
  const span = Math.max(3.5, ...Array.from(s.base).map(Math.abs), s.codes ? far(s) : 0);
  const set = (d: number, v: number) => { const z = Float64Array.from(s.base); z[d] = v; s.hold(z, true); };
  const row = (u: (typeof order)[number]) => {
    const d = u.unit - 1, size = u.rate_nats ?? u.effect_share;
    return (
      <Slider key={d} name={`Unit ${u.name}${u.says ? ", " + u.says : ""}`} value={s.base[d]} low={-span} high={span} dead={u.dead} onMove={(v) => set(d, v)}
        label={<><b>{u.name}</b>{u.says && <span class="says">{u.says}</span>}{s.units && <span class="rate" title={u.rate_nats == null ? "share of what all units change" : `${number(u.rate_nats, 2)} nats; ${u.where ?? ""}`}><i style={{ width: `${(100 * size) / most}%` }} /></span>}</>}
        end={<button class="icon" aria-pressed={s.locked.has(d)} aria-label={`Lock ${u.name}`} title={s.locked.has(d) ? "Locked: kept when another code is picked" : "Lock"}
          onClick={() => { s.locked.has(d) ? s.locked.delete(d) : s.locked.add(d); s.changed(); }}>{s.locked.has(d) ? "●" : "○"}</button>} />
    );
  };
  const local = async () => {
    const values: any = { z: Array.from(s.base) };
    if (s.about.conditional) values.label = s.label;
    const { arrays } = await s.ask("jacobian", values), n = Math.min(3, arrays.values.data.length);
    setHere({ z: Float64Array.from(s.base), values: arrays.values.data, at: Array(n).fill(0),
      directions: Array.from({ length: n }, (_, k) => Float64Array.from(arrays.directions.data.subarray(k * s.dim, (k + 1) * s.dim))) });
  };
  const draw = async () => { const { arrays } = await s.ask("sample", { n: 1, seed: Math.floor(Math.random() * 2 ** 31), ...(s.about.conditional ? { label: s.label } : {}) }); s.hold(Float64Array.from(arrays.z.data)); };
  return (
    <>
      <div class="buttons">
        <button onClick={() => s.hold(new Float64Array(s.dim))}>To zero</button>
        {s.codes && s.codes.n > 0 && <button onClick={() => s.hold(s.code(Math.floor(Math.random() * s.codes!.n)))} title="The code of some example">An example</button>}
        {!s.about.can.sample && <button onClick={() => draw().catch(() => {})}>A draw</button>}
      </div>
      {refused ? <Note>{refused}</Note> : (
        <>
          <div class="sliders">{alive.map(row)}</div>
          {!s.units && <Note>Measuring what each unit does …</Note>}
          {dead.length > 0 && <details class="fold" open={!alive.length}><summary>{dead.length} unit{dead.length > 1 ? "s" : ""} that carr{dead.length > 1 ? "y" : "ies"} nothing</summary><div class="sliders">{dead.map(row)}</div></details>}
        </>
      )}
      {!s.about.can.jacobian && (
        <div class="block">
          <h3>What changes most here</h3>
          {here ? here.directions.map((_, k) => (
            <Slider key={k} name={`Direction ${k + 1} of largest change here`} value={here.at[k]} low={-2} high={2}
              label={<><b>{["first", "second", "third"][k]}</b><span class="says">×{number(Number(here.values[k]), 1)} per step</span></>}
              onMove={(t) => {
                const at = here.at.map((x, i) => (i === k ? t : x));
                setHere({ ...here, at });
                s.hold(at.reduce((z, x, i) => add(z, here.directions[i], x), here.z), true);
              }} />
          )) : <p class="quiet">Sliders along the directions in which a small step changes the image most.</p>}
          <button onClick={() => local().catch(() => {})}>{here ? "Measure again here" : "Measure here"}</button>
        </div>
      )}
    </>
  );
}

function far(s: Session): number {
  let most = 0;
  const { mean } = s.codes!, step = Math.max(1, Math.floor(mean.length / 5000));
  for (let i = 0; i < mean.length; i += step) most = Math.max(most, Math.abs(mean[i]));
  return most;
}

export function Own({ session: s }: Panel) {
  const pad = useRef<HTMLCanvasElement>(null), file = useRef<HTMLInputElement>(null), video = useRef<HTMLVideoElement>(null), last = useRef<[number, number] | null>(null), wait = useRef(0);
  const [camera, setCamera] = useState<MediaStream | null>(null), [said, setSaid] = useState(""), [invert, setInvert] = useState(false), [over, setOver] = useState(false);
  const refused = s.about.can.encode ?? s.about.can.draw;
  const dark = s.about.dark, ground = dark ? 0 : 1;
  const clear = () => { const c = pad.current?.getContext("2d"); if (!c) return; c.fillStyle = dark ? "#000" : "#fff"; c.fillRect(0, 0, 280, 280); };
  useEffect(() => { if (!refused) clear(); }, [s]);
  useEffect(() => { if (video.current && camera) video.current.srcObject = camera; return () => camera?.getTracks().forEach((t) => t.stop()); }, [camera]);
  const encode = async (source: CanvasImageSource, w: number, h: number, flip = invert) => {
    const image = toInput(source, w, h, s.about.shape, false, ground);
    if (flip) for (let i = 0; i < image.length; i++) image[i] = 1 - image[i];
    try {
      const { facts, arrays } = await s.ask("encode", { image: Array.from(image), ...(s.about.conditional ? { label: s.label } : {}) });
      const [low, high] = s.about.range;
      s.own = { image: image.map((v) => low + v * (high - low)), mean: Float64Array.from(arrays.mean.data), std: arrays.std ? Float64Array.from(arrays.std.data) : null, reconstruction: arrays.reconstruction.data as Float32Array, facts };
      s.hold(s.own.mean);
      setSaid("");
    } catch (e: any) { setSaid(e.message); }
  };
  const open = async (blob: Blob | null | undefined) => {
    if (!blob) return;
    try {
      const image = await createImageBitmap(blob, { imageOrientation: "from-image" });
      await encode(image, image.width, image.height);
    } catch { setSaid("That is no image which this browser can read."); }
  };
  useEffect(() => {
    if (refused) return;
    const paste = (e: ClipboardEvent) => { const item = [...(e.clipboardData?.items ?? [])].find((i) => i.type.startsWith("image/")); if (item) open(item.getAsFile()); };
    addEventListener("paste", paste);
    return () => removeEventListener("paste", paste);
  });
  if (refused) return <Note>{refused}</Note>;
  const draw = (e: any) => {
    const canvas = pad.current!, box = canvas.getBoundingClientRect(), c = canvas.getContext("2d")!;
    const at: [number, number] = [((e.clientX - box.left) / box.width) * 280, ((e.clientY - box.top) / box.height) * 280];
    if (e.type === "pointerdown") { canvas.setPointerCapture(e.pointerId); last.current = at; }
    if (!last.current) return;
    c.lineWidth = 280 * 0.085; c.lineCap = "round"; c.lineJoin = "round"; c.strokeStyle = dark ? "#fff" : "#000";
    c.beginPath(); c.moveTo(...last.current); c.lineTo(...at); c.stroke();
    last.current = e.type === "pointerup" ? null : at;
    clearTimeout(wait.current);
    wait.current = window.setTimeout(() => encode(canvas, 280, 280, false), e.type === "pointerup" ? 0 : 90);
  };
  const own = s.own;
  return (
    <>
      <div class={"drop" + (over ? " over" : "")} onDragOver={(e) => { e.preventDefault(); setOver(true); }} onDragLeave={() => setOver(false)}
        onDrop={(e) => { e.preventDefault(); setOver(false); open(e.dataTransfer?.files[0]); }}>
        <canvas ref={pad} class="pad" width={280} height={280} role="img" aria-label="Draw here: what is drawn is encoded" onPointerDown={draw} onPointerMove={draw} onPointerUp={draw} />
        <div class="beside">
          <p class="quiet">Draw, drop or paste an image.</p>
          <button onClick={() => { clear(); s.own = null; s.changed(); }}>Clear</button>
          <button onClick={() => file.current?.click()}>Open …</button>
          <button onClick={async () => { if (camera) return setCamera(null); try { setCamera(await navigator.mediaDevices.getUserMedia({ video: { width: 480 } })); } catch { setSaid("No camera may be used here."); } }}>{camera ? "Stop" : "Camera"}</button>
          <label class="check"><input type="checkbox" checked={invert} onChange={(e) => setInvert(e.currentTarget.checked)} /> invert</label>
          <input ref={file} type="file" accept="image/*" hidden aria-label="An image of your own" onChange={(e) => open(e.currentTarget.files?.[0])} />
        </div>
      </div>
      {camera && <div class="block"><video ref={video} autoPlay muted playsInline width="200" /><button onClick={() => video.current && encode(video.current, video.current.videoWidth, video.current.videoHeight)}>Take it</button></div>}
      {said && <Note kind="warn">{said}</Note>}
      {own && (
        <div class="block own">
          <div class="pair">
            <figure><Picture about={s.about} values={own.image} size={96} label="Your image as the model sees it" /><figcaption>as the model sees it</figcaption></figure>
            <figure><Picture about={s.about} values={own.reconstruction} size={96} label="Its reconstruction" /><figcaption>reconstruction</figcaption></figure>
          </div>
          <dl>
            {own.facts.loss != null && <><dt>bound</dt><dd>{number(own.facts.loss)} nats</dd><dt>distortion</dt><dd>{number(own.facts.distortion)} nats</dd><dt>rate</dt><dd>{number(own.facts.rate)} nats</dd></>}
            {own.facts.loss == null && own.facts.rate != null && <><dt>rate</dt><dd>{number(own.facts.rate)} nats</dd></>}
            <dt>mean difference</dt><dd>{number(100 * own.facts.pixel_error)}%</dd>
          </dl>
          {own.facts.loss == null && s.about.can.distortion && <Note>{s.about.can.distortion}</Note>}
          {s.about.loss != null && own.facts.loss != null && <p class="quiet">Images held out have {number(s.about.loss)} on average. Ellipses on the map: one and two deviations of the posterior.</p>}
        </div>
      )}
    </>
  );
}

export function Paths({ session: s }: Panel) {
  const [kind, setKind] = useState<"linear" | "spherical" | "density">("linear"), [n, setN] = useState(9), [busy, setBusy] = useState(false), [frame, setFrame] = useState(0), [playing, setPlaying] = useState(false);
  const stops = s.stops, key = stops.map((p) => p.z.join()).join(";") + kind + n + s.label;
  useEffect(() => {
    if (stops.length < 2) { s.path = null; s.changed(); return; }
    let on = true;
    (async () => {
      const anchors = stops.map((p) => p.z);
      setBusy(true);
      try {
        if (kind === "density" && (s.about.can.densest ?? s.about.can.density)) { if (on) s.path = null; }
        else if (kind === "density") {
          const { arrays } = await s.ask("interpolate", { codes: anchors.map((z) => Array.from(z)), path: kind, n, ...(s.about.conditional ? { labels: [s.label] } : {}) });
          const z = Array.from({ length: arrays.z.shape[0] }, (_, i) => Float64Array.from(arrays.z.data.subarray(i * s.dim, (i + 1) * s.dim)));
          if (on) s.path = { z, images: arrays.mean.data as Float32Array, nats: arrays.log_density?.data ?? null, kind };
        } else {
          const z = (kind === "linear" ? linear : spherical)(anchors, n), images = await s.decode(z);
          if (on) s.path = { z, images, nats: null, kind };
        }
      } catch {} finally { if (on) { setBusy(false); setFrame(0); s.changed(); } }
    })();
    return () => { on = false; };
  }, [key]);
  const path = s.path;
  useEffect(() => {
    if (!playing || !path) return;
    const timer = setInterval(() => setFrame((f) => (f + 1) % path.z.length), 110);
    return () => clearInterval(timer);
  }, [playing, path]);
  const options: ["linear" | "spherical" | "density", string][] = [["linear", "straight"], ["spherical", "on a sphere"], ["density", "where data lie"]];
  const save = () => {
    if (!path) return;
    const [, H, W] = s.about.shape, canvas = document.createElement("canvas"), times = Math.max(1, Math.round(112 / W));
    canvas.width = path.z.length * W * times; canvas.height = H * times;
    const c = canvas.getContext("2d")!; c.imageSmoothingEnabled = false;
    path.z.forEach((_, i) => c.drawImage(canvasOf(pixels(s.about, path.images, i)), i * W * times, 0, W * times, H * times));
    canvas.toBlob((b) => b && download(`${s.about.name}-path.png`, b));
  };
  const table = () => path && download(`${s.about.name}-path.csv`, new Blob([[s.about.units.join(","), ...path.z.map((z) => z.join(","))].join("\n") + "\n"], { type: "text/csv" }));
  const refused = kind === "density" ? s.about.can.densest ?? s.about.can.density : s.about.can[kind];
  return (
    <>
      <p class="quiet">Shift-click on the map adds a stop. <button class="link" onClick={() => { s.stops = [...s.stops, { z: Float64Array.from(s.base), image: s.holding }]; s.changed(); }}>Add the held code</button></p>
      {stops.length > 0 && (
        <ol class="stops">
          {stops.map((p, i) => <li key={i}><Picture about={s.about} values={p.image} size={46} label={`Stop ${i + 1}`} onClick={() => s.hold(p.z)} /><button class="icon" aria-label={`Remove stop ${i + 1}`} onClick={() => { s.stops = s.stops.filter((_, j) => j !== i); s.changed(); }}>×</button></li>)}
        </ol>
      )}
      {stops.length === 3 && s.dim > 2 && <button onClick={() => s.choose({ kind: "points", codes: stops.map((p) => p.z) })}>Show the plane through the three</button>}
      {stops.length > 1 && <><Choice label="Path" value={kind} options={options} onPick={setKind} /><Slider name="Images from stop to stop" label="images a leg" value={n} low={3} high={33} onMove={(v) => setN(Math.round(v))} /></>}
      {refused && stops.length > 1 && <Note kind="warn">{refused}</Note>}
      {busy && <Note>Looking for the path …</Note>}
      {path && (
        <>
          <div class="player">
            <Picture about={s.about} values={path.images} index={Math.min(frame, path.z.length - 1)} size={150} label={`Image ${frame + 1} of the path`} />
            <div class="beside">
              <button onClick={() => setPlaying(!playing)}>{playing ? "Pause" : "Play"}</button>
              <button onClick={save} disabled={!s.about.image}>Save PNG</button><button onClick={table}>Save CSV</button>
              <button class="link" onClick={() => { s.stops = []; s.path = null; s.changed(); }}>Clear</button>
            </div>
          </div>
          <input type="range" aria-label="Place along the path" min={0} max={path.z.length - 1} value={frame} style={{ "--share": `${(100 * frame) / (path.z.length - 1)}%` } as any} onInput={(e) => { setFrame(+e.currentTarget.value); s.hold(path.z[+e.currentTarget.value], true); }} />
          <div class="strip" tabIndex={0} role="group" aria-label="Images along the path">{path.z.map((z, i) => <Picture key={i} about={s.about} values={path.images} index={i} size={48} label={`Image ${i + 1} of ${path.z.length}`} on={i === frame} onClick={() => { setFrame(i); s.hold(z, true); }} />)}</div>
        </>
      )}
    </>
  );
}

type Method = "logistic" | "centroid" | "cca";
const METHODS: [Method, string][] = [["logistic", "logistic"], ["centroid", "means"], ["cca", "Fisher"]];

export function Directions({ session: s, shown, onShow }: Panel) {
  const [busy, setBusy] = useState(false), [name, setName] = useState(""), [said, setSaid] = useState(""), [start, setStart] = useState<Float64Array | null>(null), [strength, setStrength] = useState(0), [method, setMethod] = useState<Method>(s.about.can.logistic ? "centroid" : "logistic");
  const methods = METHODS.filter(([name]) => !s.about.can[name]);
  useEffect(() => { s.loadDirections().catch(() => {}); }, [s]);
  if (s.about.can.directions) return <Note>{s.about.can.directions}</Note>;
  const rowsOf = (g: number[]) => g.map((i) => s.row(i));
  const fit = async (save: boolean) => {
    setBusy(true); setSaid("");
    try {
      const { facts, arrays } = await s.ask("direction", { with: rowsOf(s.groups[1]), without: rowsOf(s.groups[0]), method, name: name || "lasso", save });
      use({ name: facts.name, sentence: facts.sentence, scale: facts.scale, threshold: facts.threshold, facts, vector: Float64Array.from(arrays.vector.data) });
      if (facts.saved) { setSaid(`Saved as ${facts.saved}.`); s.loadDirections(); }
    } catch (e: any) { setSaid(e.message); } finally { setBusy(false); }
  };
  const use = (d: Direction) => { s.found = d; setStart(Float64Array.from(s.base)); setStrength(0); s.changed(); };
  const classes = s.about.labels.kind === "class" && s.codes?.labels ? s.about.labels.names : [];
  const pick = (g: 0 | 1, c: string) => {
    const found: number[] = [];
    if (c !== "") for (let i = 0; i < s.codes!.n; i++) if (s.codes!.labels![i] === +c) found.push(i);
    s.groups[g] = found; s.changed();
  };
  const d = s.found, figure = d?.facts.accuracy ?? d?.facts.correlation;
  const centroids = s.centroids();
  return (
    <>
      <div class="groups">
        {([0, 1] as const).map((g) => (
          <div key={g} class={"group g" + g}>
            <b>{g ? "To" : "From"}</b><span class="count">{s.groups[g].length.toLocaleString("en")}</span>
            <button aria-pressed={shown.tool === (g ? "lasso-b" : "lasso-a")} onClick={() => onShow({ tool: shown.tool === (g ? "lasso-b" : "lasso-a") ? "look" : g ? "lasso-b" : "lasso-a" })}>Lasso</button>
            {classes.length > 0 && <select aria-label={g ? "To the class" : "From the class"} onChange={(e) => pick(g, e.currentTarget.value)}><option value="">class …</option>{classes.map((c, i) => <option key={i} value={i}>{c}</option>)}</select>}
          </div>
        ))}
      </div>
      {methods.length > 1 ? <Choice small label="Method" value={method} options={methods} onPick={setMethod} /> : <Note>{s.about.can.logistic}</Note>}
      <div class="buttons"><button class="main" disabled={busy || !s.groups[0].length || !s.groups[1].length} onClick={() => fit(false)}>{busy ? "Fitting …" : "Find the direction"}</button></div>
      {said && <Note>{said}</Note>}
      {d && (
        <div class="block">
          <h3>{d.name}</h3>
          {figure && <dl><dt>{d.facts.accuracy ? "accuracy, held out" : "correlation, held out"}</dt><dd>{number(figure.value, 3)} ± {number(figure.standard_error, 3)}</dd><dt>angle, resampled</dt><dd>{number(d.facts.angle_degrees)}° (95%: {number(d.facts.angle_degrees_95)}°)</dd></dl>}
          <Slider name="Strength along the direction" label="strength" value={strength} low={-3} high={3} onMove={(t) => { setStrength(t); s.hold(add(start ?? s.base, d.vector, t * d.scale), true); }} />
          <div class="buttons"><button onClick={() => { setStart(Float64Array.from(s.base)); setStrength(0); }}>From the held code</button>
            {d.facts.with && !d.facts.sha256 && <><input type="text" placeholder="name" aria-label="Name of the direction" value={name} maxLength={100} onInput={(e) => setName(e.currentTarget.value)} /><button disabled={!name || busy} onClick={() => fit(true)}>Save to the run</button></>}</div>
        </div>
      )}
      {s.directions.length > 0 && <div class="block"><h3>Saved with the run</h3><ul class="plain">{s.directions.map((one) => <li key={one.name}><button class="link" onClick={() => use(one)}>{one.name}</button></li>)}</ul></div>}
      {centroids.length > 0 && <div class="block"><h3>Centres of the classes</h3><div class="chips">{centroids.map((c, i) => <button key={i} onClick={() => s.hold(c.z)}><i style={{ background: css(classColour(s.about.labels.names.indexOf(c.name))) }} />{c.name.slice(0, 24)}</button>)}</div></div>}
    </>
  );
}

const OVERLAYS: Record<Overlay, [string, string]> = {
  none: ["nothing", ""],
  density: ["density of the data", "Log density of the aggregate posterior, in nats: a mixture of Gaussians fitted to the codes of the data. Dark: no data lie there."],
  reencode: ["re-encoding error", "How far the code of the decoded image lies from the code itself, in units of the code. Bright: the decoder shows what the encoder does not know."],
  magnification: ["magnification", "The largest singular value of the decoder's Jacobian: how much the image changes for a small step. Bright ridges part one kind of image from another."],
};

export function Trust({ session: s, shown, onShow, legend }: Panel & { legend: { low: number; high: number } | null }) {
  useEffect(() => { s.trust().catch(() => {}); }, [s]);
  const now = OVERLAYS[shown.overlay], known = (Object.keys(OVERLAYS) as Overlay[]).filter((o) => !s.about.can[o]);
  const refused = (Object.keys(OVERLAYS) as Overlay[]).map((o) => s.about.can[o]).find(Boolean);
  return (
    <>
      <Choice label="Overlay" value={shown.overlay} options={known.map((o) => [o, OVERLAYS[o][0]])} onPick={(overlay) => onShow({ overlay })} />
      {now[1] && <p class="quiet">{now[1]}</p>}
      {legend && shown.overlay !== "none" && <div class="legend"><span>{number(legend.low, 2)}</span><i class="heat" /><span>{number(legend.high, 2)}</span></div>}
      {!s.about.can.density && <div class="block"><h3>The held code</h3>{s.typical ? <dl><dt>log density</dt><dd>{number(s.support)} nats</dd><dt>codes of the data</dt><dd>{number(s.typical[0])} (1%) · {number(s.typical[2])} (50%)</dd></dl> : <Note>Fitting a density to the codes …</Note>}
        {s.support != null && s.typical && (s.support < s.typical[0] ? <Note kind="warn">Off the data's support: fewer than one code in a hundred lies where it is this thin. The image there is the decoder's own invention.</Note> : <Note kind="good">Codes of the data lie here.</Note>)}</div>}
      {refused && <Note>{refused}</Note>}
    </>
  );
}

export function Film({ session: s }: Panel) {
  const [at, setAt] = useState<number | null>(null), [playing, setPlaying] = useState(false), [said, setSaid] = useState("");
  const ref = useRef<HTMLCanvasElement>(null), film = s.film;
  useEffect(() => {
    if (s.about.can.snapshots || s.film) return;
    s.develop().then(() => s.film || setSaid("The run holds no snapshots of its training.")).catch((e) => setSaid(e.message));
  }, [s]);
  const last = film ? film.steps.length - 1 : 0, frame = at == null || at > last ? last : at; // the last until another is chosen
  const setFrame = (f: number | ((f: number) => number)) => setAt((now) => (typeof f === "number" ? f : f(now ?? last)));
  useEffect(() => {
    if (!playing || !film) return;
    const timer = setInterval(() => setFrame((f) => (f + 1) % film.steps.length), 160);
    return () => clearInterval(timer);
  }, [playing, film]);
  const image = s.about.image;
  useEffect(() => {
    const canvas = ref.current;
    if (!canvas || !film || !image) return;
    const [, n, C, H, W] = film.shape, side = Math.ceil(Math.sqrt(n));
    canvas.width = side * W; canvas.height = Math.ceil(n / side) * H;
    const c = canvas.getContext("2d")!, look = { shape: [C, H, W], range: [0, 255] as [number, number] };
    for (let i = 0; i < n; i++) c.putImageData(pixels(look, film.images, frame * n + i), (i % side) * W, Math.floor(i / side) * H);
  }, [film, frame]);
  if (s.about.can.snapshots) return <Note>{s.about.can.snapshots}</Note>;
  const curve = film?.curve.filter((p) => p[2] !== "validation") ?? [];
  return (
    <>
      {said && <Note kind="warn">{said}</Note>}
      {film && image && <canvas ref={ref} class="film" role="img" aria-label={`Samples from the same codes at step ${film.steps[frame]}`} />}
      {film && (
        <>
          <div class="buttons"><button onClick={() => setPlaying(!playing)}>{playing ? "Pause" : "Play"}</button><span class="step">step {film.steps[frame].toLocaleString("en")}</span></div>
          <input type="range" aria-label="Step of the training" min={0} max={film.steps.length - 1} value={frame} style={{ "--share": `${(100 * frame) / Math.max(1, film.steps.length - 1)}%` } as any} onInput={(e) => setFrame(+e.currentTarget.value)} />
          {curve.length > 2 && <Curve points={curve.map((p) => [p[0], p[1]])} at={film.steps[frame]} />}
          <p class="quiet">The same codes decoded as training went on; below, the loss in nats.</p>
        </>
      )}
      {s.about.can.follow ? <Note>{s.about.can.follow}</Note> : <label class="check"><input type="checkbox" checked={s.live} onChange={(e) => s.follow(e.currentTarget.checked)} /> follow the training{s.about.status === "running" ? "" : ` (${s.about.status})`}</label>}
    </>
  );
}

function Curve({ points, at }: { points: [number, number][]; at: number }) {
  const xs = points.map((p) => p[0]), ys = points.map((p) => p[1]).sort((a, b) => a - b);
  const [x0, x1, y0, y1] = [Math.min(...xs), Math.max(...xs), ys[0], ys[Math.floor(0.97 * (ys.length - 1))]];
  const X = (x: number) => (300 * (x - x0)) / (x1 - x0 || 1), Y = (y: number) => Math.max(2, 70 - (64 * (y - y0)) / (y1 - y0 || 1));
  return (
    <svg class="curve" viewBox="0 0 300 84" role="img" aria-label={`Loss from ${number(points[0][1])} to ${number(points[points.length - 1][1])} nats`}>
      <path d={points.map(([x, y], i) => `${i ? "L" : "M"}${X(x).toFixed(1)} ${Y(y).toFixed(1)}`).join("")} />
      <line x1={X(at)} x2={X(at)} y1="0" y2="74" />
      <text x="0" y="83">{number(y0)}</text><text x="300" y="83" text-anchor="end">{x1.toLocaleString("en")} steps</text>
    </svg>
  );
}

export { norm, Pick };
