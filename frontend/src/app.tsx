// The page: one or two maps, and beside them what can be asked of the code that is held.

import { render } from "preact";
import { useEffect, useLayoutEffect, useReducer, useRef, useState } from "preact/hooks";
import type { Backend } from "./backend";
import { classColour, css, ramp } from "./colours";
import { download } from "./images";
import { MapView, type Layers, type Shown } from "./map";
import { Directions, Film, Held, Own, Paths, Trust, Units } from "./panels";
import { Choice, number, Pick } from "./parts";
import { read, write } from "./place";
import { Session } from "./session";
import { Lessons } from "./teaching";
import * as lessons from "./lessons";
import { spectrum } from "./spectrum";

const TABS = [["units", "Units", Units], ["image", "Image", Own], ["paths", "Paths", Paths], ["directions", "Directions", Directions], ["trust", "Trust", Trust], ["lessons", "Lessons", Lessons], ["film", "Film", Film]] as const;

function Map({ session, shown, onReady, on, many, events }: { session: Session; shown: Shown; onReady: (m: MapView) => void; on: boolean; many: boolean; events: any }) {
  const box = useRef<HTMLDivElement>(null), map = useRef<MapView | null>(null);
  useLayoutEffect(() => {
    map.current = new MapView(box.current!, session, shown, events);
    onReady(map.current);
  }, [session]);
  useLayoutEffect(() => map.current?.show(shown), [shown]);
  useLayoutEffect(() => map.current?.update());
  return (
    <div class={"map" + (many && on ? " on" : "")}>
      <div class={"canvas tool-" + shown.tool} ref={box} tabIndex={0} role="application" aria-label={`Map of the latent space of ${session.about.name}. Arrow keys move the held code, plus and minus zoom, 0 shows all, P adds a stop.`} />
      {many && <span class="tag">{session.about.name}</span>}
    </div>
  );
}

function Legend({ session: s, shown, onHide }: { session: Session; shown: Shown; onHide: () => void }) {
  if (!s.codes || shown.layers === "images") return null;
  const factor = shown.colour.startsWith("factor:") ? s.codes.factors[+shown.colour.slice(7)] : null;
  const values = shown.colour === "label" ? s.codes.labels : factor?.values;
  if (!values) return null;
  const classes = shown.colour === "label" ? s.about.labels.kind === "class" : factor?.classes;
  if (!classes) {
    let low = Infinity, high = -Infinity;
    for (let i = 0; i < s.codes.n; i++) (low = Math.min(low, values[i])), (high = Math.max(high, values[i]));
    return <div class="key"><span>{number(low, 2)}</span><i style={{ background: `linear-gradient(90deg, ${[0, 0.25, 0.5, 0.75, 1].map((t) => css(ramp(t))).join()})` }} /><span>{number(high, 2)}</span></div>;
  }
  const numbers = shown.colour === "label" ? s.about.labels.names.map((_, i) => i) : [...new Set(Array.from(values))].sort((a, b) => a - b);
  return (
    <div class="key" role="group" aria-label="Classes on the map">
      {numbers.slice(0, 40).map((c) => (
        <button key={c} aria-pressed={!s.hidden.has(c)} title="Show or hide; double-click shows this one alone"
          onClick={() => { s.hidden.has(c) ? s.hidden.delete(c) : s.hidden.add(c); onHide(); }}
          onDblClick={() => { s.hidden = new Set(s.hidden.size ? [] : numbers.filter((d) => d !== c)); onHide(); }}>
          <i style={{ background: css(classColour(c)) }} />{(shown.colour === "label" ? s.about.labels.names[c] : String(c)).slice(0, 28)}
        </button>
      ))}
    </div>
  );
}

function python(s: Session, shown: Shown): string {
  const list = (z: ArrayLike<number>) => `[${Array.from(z, (v) => +v.toFixed(4)).join(", ")}]`;
  const label = s.about.conditional && s.about.labels.kind === "class" ? s.about.labels.names[s.label] : null;
  const lines = ["import numpy as np", "import zatlas", "", `run = zatlas.open(${JSON.stringify(s.about.path)})`];
  lines.push(`z = np.array([${list(s.base)}], "float32")`);
  lines.push(label == null ? "image = run.decode(z).mean[0]" : `image = run.decode(z, run.labels_for(1, ${JSON.stringify(label)})).mean[0]`);
  if (s.stops.length > 1) {
    lines.push(`stops = np.array([${s.stops.map((p) => list(p.z)).join(", ")}], "float32")`);
    lines.push(`path = zatlas.walks.interpolate(run, codes=stops, path="${s.path?.kind ?? "linear"}"${label == null ? "" : `, label=${JSON.stringify(label)}`})`);
  }
  if (s.choice.kind === "units" && s.dim > 1) lines.push(`plane = zatlas.walks.manifold(run, units=(${s.choice.i}, ${s.choice.j}))`);
  if (s.choice.kind === "pca") lines.push("plane = zatlas.walks.manifold(run, principal=True)");
  if (shown.colour !== "none" && !s.about.can.codes) lines.push("codes = zatlas.walks.scatter(run)");
  return lines.join("\n") + "\n";
}

/** Host: the element that holds the page where it is a part of another one, as in a notebook; it then leaves that one's address, title and keys alone. */
export function App({ backend, host }: { backend: Backend; host?: HTMLElement }) {
  const [, redraw] = useReducer((n: number) => n + 1, 0);
  const [sessions, setSessions] = useState<Session[]>([]), [problem, setProblem] = useState(""), [active, setActive] = useState(0), [tab, setTab] = useState("units");
  const [shown, setShown] = useState<Shown>({ layers: "both", tool: "look", colour: "label", overlay: "none" });
  const [toast, setToast] = useState(""), [menu, setMenu] = useState(false), [help, setHelp] = useState(false), [theme, setTheme] = useState<string>(() => { try { return localStorage.getItem("zatlas-theme") ?? ""; } catch { return ""; } });
  const maps = useRef<MapView[]>([]), pending = useRef(0), toastTimer = useRef(0), place = useRef(host ? {} : read());
  const state = useRef({ tab, shown, active });
  state.current = { tab, shown, active };

  useLayoutEffect(() => {
    let opened: Session[] = [];
    const changed = () => { if (!pending.current) pending.current = requestAnimationFrame(() => { pending.current = 0; redraw(0); later(); }); };
    (async () => {
      try {
        const runs = await backend.runs();
        opened = runs.map((run) => new Session(backend, run.id, changed));
        await Promise.all(opened.map((s) => s.open()));
        const first = opened[0], kept = place.current;
        const known = first.codes?.labels ? "label" : first.codes?.factors.length ? "factor:0" : "none";
        setShown((now) => ({ ...now, layers: first.codes && first.dim >= 2 ? now.layers : now.layers, colour: kept.colour ?? known, ...(kept.layers ? { layers: kept.layers as Layers } : {}), ...(kept.overlay ? { overlay: kept.overlay as any } : {}) }));
        if (kept.tab) setTab(kept.tab);
        if (kept.plane) first.choose(kept.plane.length === 2 ? { kind: "units", i: kept.plane[0], j: kept.plane[1] } : { kind: "pca" });
        if (kept.label) first.label = kept.label;
        if (kept.z?.length === first.dim) first.hold(kept.z, true);
        if (kept.stops?.length && kept.stops.every((z) => z.length === first.dim)) {
          const stops = (first.stops = kept.stops.map((z) => ({ z: Float64Array.from(z), image: null as Float32Array | null })));
          first.decode(kept.stops).then((images) => { stops.forEach((stop, i) => (stop.image = images.slice(i * first.size, (i + 1) * first.size))); changed(); }).catch(() => {});
        }
        setSessions(opened);
        if (!host) document.title = `${opened.map((s) => s.about.name).join(" and ")} · zatlas`;
        if (kept.view) requestAnimationFrame(() => maps.current[0]?.restore(kept.view!));
        for (const s of opened) {
          if (!s.held) s.redecode();
          // the rest of the codes once the images in sight are there
          if (!backend.whole && (s.codes?.n ?? 0) >= 4000 && !s.about.can.codes) setTimeout(() => s.load(70_000).then(() => s.learn()).catch(() => {}), 900);
          else s.learn().catch(() => {});
        }
      } catch (error: any) {
        setProblem(error.message ?? String(error));
      }
    })();
  }, [backend]);

  const [starting, setStarting] = useState(!!backend.ready);
  useEffect(() => { const there = () => setStarting(false); backend.ready?.then(there, there); }, [backend]);

  const hashTimer = useRef(0);
  const later = () => {
    clearTimeout(hashTimer.current);
    hashTimer.current = window.setTimeout(() => {
      const s = sessionsRef.current[0], m = maps.current[0];
      if (s && m && !host) write(s, m.view, state.current.shown, state.current.tab);
    }, 250);
  };
  const sessionsRef = useRef(sessions);
  sessionsRef.current = sessions;
  useEffect(later, [tab, shown, sessions]);
  useEffect(() => {
    (host ?? document.documentElement).dataset.theme = theme;
    try { localStorage.setItem("zatlas-theme", theme); } catch {}
    maps.current.forEach((m) => m.redecode());
  }, [theme]);
  useEffect(() => {
    const key = (e: KeyboardEvent) => {
      if (host) e.stopPropagation(); // or a notebook would take it for a command
      const target = e.composedPath()[0];
      if (target instanceof HTMLElement && (/^(INPUT|SELECT|TEXTAREA)$/.test(target.tagName))) return;
      if (e.ctrlKey || e.metaKey || e.altKey) return;
      if (e.key === "?") setHelp((on) => !on);
      else if (e.key === "Escape") { setHelp(false); setMenu(false); onShow({ tool: "look" }); }
      else if (e.key === "1") onShow({ layers: "points" });
      else if (e.key === "2") onShow({ layers: "both" });
      else if (e.key === "3") onShow({ layers: "images" });
    };
    const over: EventTarget = host ?? window;
    over.addEventListener("keydown", key as EventListener);
    return () => over.removeEventListener("keydown", key as EventListener);
  }, []);

  const onShow = (change: Partial<Shown>) => setShown((now) => ({ ...now, ...change }));
  const say = (text: string) => { setToast(text); clearTimeout(toastTimer.current); toastTimer.current = window.setTimeout(() => setToast(""), 2600); };
  if (problem) return <main class="lost"><h1>zatlas</h1><p role="alert">{problem}</p></main>;
  if (!sessions.length) return <main class="lost"><p role="status" class="opening">Opening the map …</p></main>;

  const s = sessions[Math.min(active, sessions.length - 1)], map = maps.current[active];
  const many = sessions.length > 1;
  const colours: [string, string][] = [...(s.codes?.labels ? [["label", s.about.labels.kind === "class" ? "class" : s.about.labels.names[0]] as [string, string]] : []), ...(s.codes?.factors.map((f, i) => [`factor:${i}`, f.name] as [string, string]) ?? []), ["none", "nothing"]];
  const planes: [string, string][] = s.dim < 2 ? [] : [
    ...(s.dim > 2 && s.codes ? [["pca", "widest two"] as [string, string]] : []), ["units", "two units"],
    ...(s.stops.length === 3 && s.dim > 2 ? [["points", "three stops"] as [string, string]] : []),
  ];
  const replane = (change: () => void) => { change(); map?.fit(); };
  const u = s.choice.kind === "units" ? s.choice : { i: 0, j: 1 };
  const units: [string, string][] = s.about.units.map((name, i) => [String(i), name]);
  const copy = async (text: string, what: string) => {
    try { await navigator.clipboard.writeText(text); say(`${what} copied`); } catch { say("The clipboard may not be used here."); }
    setMenu(false);
  };
  const save = (kind: "png" | "csv" | "json") => {
    setMenu(false);
    if (kind === "png") map?.picture().toBlob((b) => b && download(`${s.about.name}-map.png`, b));
    if (kind === "csv" && s.codes) {
      const names = s.about.labels.names, head = ["row", "label", ...s.about.units].map(quoted).join(",");
      const body = Array.from({ length: s.codes.n }, (_, i) => [s.codes!.rows?.[i] ?? "", s.codes!.labels ? (s.about.labels.kind === "class" ? quoted(names[s.codes!.labels[i]]) : s.codes!.labels[i]) : "", ...s.codes!.mean.subarray(i * s.dim, (i + 1) * s.dim)].join(","));
      download(`${s.about.name}-codes.csv`, new Blob([[head, ...body].join("\n") + "\n"], { type: "text/csv" }));
    }
    if (kind === "json") download(`${s.about.name}-state.json`, new Blob([JSON.stringify({ run: s.about.path, step: s.about.step, z: Array.from(s.base), label: s.about.conditional ? s.label : null, stops: s.stops.map((p) => Array.from(p.z)), direction: s.found && { name: s.found.name, scale: s.found.scale, vector: Array.from(s.found.vector), ...s.found.facts }, plane: { origin: Array.from(s.plane.origin), across: Array.from(s.plane.e1), up: Array.from(s.plane.e2) }, own: s.own && { mean: Array.from(s.own.mean), std: s.own.std && Array.from(s.own.std), ...s.own.facts } }, null, 1)], { type: "application/json" }));
  };
  const Body = TABS.find(([id]) => id === tab)?.[2] ?? Units;
  const facts = [s.about.title.replace(/^./, (c) => c.toUpperCase()), s.about.data && `of ${s.about.data}`].filter(Boolean).join(" ");
  return (
    <>
      <header>
        <div class="name"><h1>{sessions.map((one) => one.about.name).join(" · ")}</h1><p>{facts} · {s.dim} unit{s.dim > 1 ? "s" : ""} · {s.codes ? s.codes.of : ""}{s.about.loss != null ? ` · loss ${number(s.about.loss)} nats` : ""}</p></div>
        <div class="tools">
          {planes.length > 1 && <Pick label="Plane" value={s.choice.kind} options={planes} onPick={(v) => replane(() => s.choose(v === "pca" ? { kind: "pca" } : v === "points" ? { kind: "points", codes: s.stops.map((p) => p.z) } : { kind: "units", i: best(s)[0], j: best(s)[1] }))} />}
          {s.choice.kind === "units" && s.dim > 2 && <><Pick label="Across" value={String(u.i)} options={units} onPick={(v) => +v !== u.j && replane(() => s.choose({ kind: "units", i: +v, j: u.j }))} /><Pick label="Up" value={String(u.j)} options={units} onPick={(v) => +v !== u.i && replane(() => s.choose({ kind: "units", i: u.i, j: +v }))} /></>}
          {colours.length > 1 && <Pick label="Colour" value={shown.colour} options={colours} onPick={(colour) => { s.hidden.clear(); onShow({ colour }); }} />}
          <Choice label="What the map shows" value={shown.layers} options={[["points", "Codes"], ["both", "Both"], ["images", "Images"]]} onPick={(layers) => onShow({ layers })} />
          <button class="plain" title="Fit the map (0)" onClick={() => maps.current.forEach((m) => m.fit())}>Fit</button>
          <div class="menu">
            <button class="plain" aria-haspopup="true" aria-expanded={menu} onClick={() => setMenu(!menu)}>Share</button>
            {menu && <div class="sheet" role="menu" aria-label="Share">
              {!host && <button role="menuitem" onClick={() => copy(location.href, "Link")}>Copy link</button>}
              <button role="menuitem" onClick={() => copy(python(s, shown), "Python")}>Copy as Python</button>
              <button role="menuitem" onClick={() => save("png")}>Save map, PNG</button>
              <button role="menuitem" onClick={() => save("csv")}>Save codes, CSV</button>
              <button role="menuitem" onClick={() => save("json")}>Save state, JSON</button>
            </div>}
          </div>
          <button class="plain" aria-label={`Theme: ${theme || "as the system"}`} title="Light or dark" onClick={() => setTheme(dark(theme) ? "light" : "dark")}>{dark(theme) ? "☀" : "☾"}</button>
          <button class="plain" aria-label="Help" title="Help (?)" onClick={() => setHelp(!help)}>?</button>
        </div>
      </header>
      <main>
        <div class={"maps" + (many ? " two" : "")}>
          {sessions.map((one, i) => (
            <Map key={i} session={one} shown={shown} on={i === active} many={many} onReady={(m) => { maps.current[i] = m; Object.assign(window, { zatlasMaps: maps.current, zatlasLessons: { ...lessons, spectrum } }); /* for tests and the curious */ later(); }}
              events={{
                view: () => { later(); if (state.current.shown.overlay !== "none") redraw(0); },
                stop: async (z: Float64Array) => { const at = { z, image: null as Float32Array | null }; one.stops = [...one.stops, at]; setTab("paths"); redraw(0); at.image = await one.decode([z]); redraw(0); },
                lassoed: (g: 0 | 1, found: number[]) => { one.groups[g] = found; const rows = one.codes?.rows; if (rows) for (const other of sessionsRef.current) if (other !== one && other.codes?.rows) { const wanted = new Set(found.map((k) => rows[k])); other.groups[g] = []; for (let k = 0; k < other.codes.n; k++) if (wanted.has(other.codes.rows[k])) other.groups[g].push(k); } onShow({ tool: "look" }); redraw(0); },
                active: () => setActive(i),
                linked: (row: number) => maps.current.forEach((m, j) => j !== i && m.link(row)),
              }} />
          ))}
          <Legend session={s} shown={shown} onHide={() => { maps.current.forEach((m) => m.recolour()); redraw(0); }} />
          {starting && <div class="starting" role="status">{backend.early ? "The model is starting: these images were decoded before." : "The model is starting: images come then."}</div>}
          {toast && <div class="toast" role="status">{toast}</div>}
          {s.problem && <div class="toast warn" role="alert">{s.problem}<button class="icon" aria-label="Dismiss" onClick={() => { s.problem = ""; redraw(0); }}>×</button></div>}
        </div>
        <aside aria-label="The held code">
          <Held session={s} starting={starting} />
          <div class="tabs" role="tablist" aria-label="Panels" onKeyDown={(e) => { const i = TABS.findIndex(([id]) => id === tab), j = e.key === "ArrowRight" ? i + 1 : e.key === "ArrowLeft" ? i - 1 : -1; if (j >= 0 && j < TABS.length) { setTab(TABS[j][0]); const bar = e.currentTarget; requestAnimationFrame(() => bar.querySelector<HTMLElement>(`#tab-${TABS[j][0]}`)?.focus()); } }}>
            {TABS.map(([id, text]) => <button key={id} id={`tab-${id}`} role="tab" aria-selected={tab === id} aria-controls="panel" tabIndex={tab === id ? 0 : -1} onClick={() => setTab(id)}>{text}</button>)}
          </div>
          <div class="panel" id="panel" role="tabpanel" aria-labelledby={`tab-${tab}`} key={tab + s.id} tabIndex={0}>
            <Body session={s} shown={shown} onShow={onShow} alone={!many} legend={map?.legend ?? null} />
          </div>
          {s.about.holds && <p class="holds">{s.about.holds}</p>}
        </aside>
      </main>
      {help && <div class="veil" onClick={() => setHelp(false)}><div class="card" role="dialog" aria-modal="true" aria-label="Help" onClick={(e) => e.stopPropagation()}>
        <h2>Getting around</h2>
        <dl><dt>Move the pointer</dt><dd>shows what would be there</dd><dt>Click</dt><dd>holds that code: the sliders go there</dd><dt>Shift-click, P</dt><dd>adds a stop of a path</dd><dt>Drag, wheel</dt><dd>moves and zooms the map</dd><dt>Arrows</dt><dd>move the held code (Shift: finely)</dd><dt>+ − 0</dt><dd>zoom; show all</dd><dt>1 2 3</dt><dd>codes, both, images</dd><dt>Esc</dt><dd>closes, ends the lasso</dd></dl>
        <p class="quiet">The images on the map are what the model decodes there; the points are posterior means of the training examples. The address holds the whole state: copy it to come back.</p>
        <button class="main" onClick={() => setHelp(false)}>Close</button>
      </div></div>}
    </>
  );
}

function best(s: Session): [number, number] {
  const order = (s.units ?? []).filter((u) => !u.dead).map((u) => u.unit - 1);
  return order.length > 1 ? [order[0], order[1]] : [0, 1];
}
const quoted = (text: string): string => (/[",\n\r]|^[=+@-]/.test(text) ? `"${(/^[=+@-]/.test(text) ? "'" : "") + text.replace(/"/g, '""')}"` : text);
const dark = (theme: string): boolean => (theme ? theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches);

/** Shows the page in an element; gives what ends it. */
export function mount(element: HTMLElement, backend: Backend, host?: HTMLElement): () => void {
  render(<App backend={backend} host={host} />, element);
  return () => render(null, element);
}
