// The keys, as a table for `?` and as what they do.
import type { Session } from "../session";
import { nextMap, nextStyle, type Actions } from "./toolbar";
import { h } from "../dom/elements";

export interface Keys extends Actions {
  play(): void;
  stepBy(frames: number): void;
  goto(end: "first" | "last"): void;
  turn(dx: number, dy: number): void;
  zoom(factor: number): void;
  closeAll(): void;
}

const TABLE: [string, string][] = [
  ["drag", "rotate (left), zoom (middle, wheel), slide (right or Shift)"], ["hover, click", "read a value, pin a probe; two probes give the profile between them"],
  ["double-click", "on the surface: center there; beside it: reset"], ["0", "reset the view"], ["1 2 3 4", "from the top, isometric, front, side"],
  ["arrows", "turn; with a timeline and the bar focused: step"], ["+ −", "zoom"], ["P", "perspective or orthographic"], ["R", "rotate by itself"],
  ["Space", "play, pause"], [", .", "one frame back, on (Shift: ten)"], ["Home End", "first, last frame"], ["[ ]", "begin, end of the loop"],
  ["L", "linear or logarithmic height"], ["W", "solid, mesh, wireframe"], ["C", "contour lines"], ["F", "map on the floor"], ["M", "contour pane (drag its corner or the line beside it)"], ["N", "outline what samples do not tell apart from the lowest value"],
  ["V", "overlay, side by side, swipe, difference"], ["T", "light or dark"], ["S E I ?", "settings, export, about, these keys"], ["Esc", "close, let go of probes"], ["drop", "a file: another page (.html) or grid (.csv) is laid over, a saved picture (.png) brings its view"],
];

export function helpPanel(): HTMLElement {
  return h("div", { class: "panel wide", role: "dialog", "aria-label": "Keys" }, h("h2", {}, "Keys and mouse"),
    h("table", {}, ...TABLE.map(([keys, words]) => h("tr", {}, h("td", {}, ...keys.split(" ").map((k) => (k.length < 7 && !/^[a-z]{5}/.test(k) ? h("kbd", { style: "margin-right:3px" }, k) : `${k} `))), h("td", {}, words)))));
}

/** Returns true when the key was one of ours. */
export function press(event: KeyboardEvent, session: Session, keys: Keys): boolean {
  if (event.ctrlKey || event.metaKey || event.altKey) return false;
  const { state } = session;
  const modes = ["overlay", "side", "swipe", "difference"] as const;
  const by = event.shiftKey ? 10 : 1;
  const table: Record<string, () => void> = {
    "0": () => keys.preset("home"), "1": () => keys.preset("top"), "2": () => keys.preset("isometric"), "3": () => keys.preset("front"), "4": () => keys.preset("side"),
    " ": () => keys.play(), ".": () => keys.stepBy(1), ",": () => keys.stepBy(-1), ">": () => keys.stepBy(10), "<": () => keys.stepBy(-10),
    Home: () => keys.goto("first"), End: () => keys.goto("last"),
    ArrowLeft: () => keys.turn(-14 * by, 0), ArrowRight: () => keys.turn(14 * by, 0), ArrowUp: () => keys.turn(0, -14), ArrowDown: () => keys.turn(0, 14),
    "+": () => keys.zoom(1.15), "=": () => keys.zoom(1.15), "-": () => keys.zoom(1 / 1.15),
    p: () => keys.set({ camera: { ...state.camera, ortho: !state.camera.ortho } }), r: () => keys.set({ rotating: !state.rotating }),
    "[": () => keys.set({ range: [state.frame, Math.max(state.range?.[1] ?? session.timeline.length - 1, state.frame)] }),
    "]": () => keys.set({ range: [Math.min(state.range?.[0] ?? 0, state.frame), state.frame] }),
    l: () => keys.set({ log: !state.log }), w: () => keys.set({ style: nextStyle(state.style) }), c: () => keys.set({ contours: !state.contours }),
    f: () => keys.set({ floor: !state.floor }), m: () => keys.set({ map: nextMap(state.map) }), n: () => keys.set({ noise: !state.noise }), t: () => keys.toggleTheme(),
    v: () => { if (session.landscape.surfaces.length > 1) keys.set({ mode: modes[(modes.indexOf(state.mode) + 1) % 4] }); },
    s: () => keys.open("settings"), e: () => keys.open("share"), i: () => keys.open("info"), "?": () => keys.open("help"), Escape: () => keys.closeAll(),
  };
  const act = table[event.key] ?? table[event.key.toLowerCase()];
  act?.();
  return !!act;
}
