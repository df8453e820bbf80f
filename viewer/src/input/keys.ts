// What keys and buttons do, as verbs on a session.
import type { Motion } from "../animator";
import type { Panels } from "../chrome/panels";
import { nextMap, nextStyle, type Actions } from "../chrome/toolbar";
import { HOME, PRESETS, rotate, zoomAt, type Camera } from "../math/camera";
import type { Session } from "../session";
import type { ViewState } from "../state";

export function keysOf(session: Session, motion: Motion, panels: Panels): Keys {
  const set = (change: Partial<ViewState>) => session.store.set(change);
  const last = () => Math.max(session.timeline.length - 1, 0);
  const goto = (frame: number) => set({ frame: Math.max(0, Math.min(last(), frame)), playing: false });
  return {
    set,
    preset: (name) => {
      motion.stopGlide();
      if (name === "home") { motion.fly({ ...session.store.initial.camera }); set({ rotating: false, mapView: { zoom: 1, x: 0, y: 0 } }); }
      else motion.fly({ ...HOME, ...PRESETS[name] } as Camera);
    },
    open: (name) => panels.toggle(name),
    toggleTheme: () => set({ theme: session.theme.name === "dark" ? "light" : "dark" }),
    play: () => session.timeline.moves && set({ playing: !session.state.playing, frame: !session.state.playing && session.state.frame >= last() ? (session.state.range?.[0] ?? 0) : session.state.frame }),
    stepBy: (frames) => goto(Math.round(session.state.frame) + frames),
    goto: (end) => goto(end === "first" ? 0 : last()),
    turn: (dx, dy) => set({ camera: rotate(session.state.camera, dx, dy) }),
    zoom: (factor) => set({ camera: zoomAt(session.state.camera, factor, 0, 0, session.height) }),
    closeAll: () => { if (!panels.close()) set({ probes: [] }); },
  };
}
export interface Keys extends Actions {
  play(): void;
  stepBy(frames: number): void;
  goto(end: "first" | "last"): void;
  turn(dx: number, dy: number): void;
  zoom(factor: number): void;
  closeAll(): void;
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
