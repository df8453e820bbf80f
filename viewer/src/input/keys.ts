// Keyboard shortcuts, and the actions that keys and buttons share.
import type { Animator } from "../animator";
import type { Panels } from "../chrome/panels";
import { nextMap, nextStyle, type Actions } from "../chrome/toolbar";
import { HOME, PRESETS, rotate, zoomAt, type Camera } from "../math/camera";
import type { Session } from "../session";
import type { ViewState } from "../state";

export function makeActions(session: Session, animator: Animator, panels: Panels): ViewerActions {
  const set = (change: Partial<ViewState>) => session.store.set(change);
  const last = () => Math.max(session.timeline.length - 1, 0);
  const goto = (frame: number) => set({ frame: Math.max(0, Math.min(last(), frame)), playing: false });
  return {
    set,
    preset: (name) => {
      animator.stopCamera();
      if (name === "home") {
        animator.flyTo({ ...session.store.initial.camera });
        set({ rotating: false, mapView: { zoom: 1, x: 0, y: 0 } });
      } else animator.flyTo({ ...HOME, ...PRESETS[name] } as Camera);
    },
    open: (name) => panels.toggle(name),
    toggleTheme: () => set({ theme: session.theme.name === "dark" ? "light" : "dark" }),
    play: () =>
      session.timeline.isAnimated &&
      set({
        playing: !session.state.playing,
        frame: !session.state.playing && session.state.frame >= last() ? (session.state.range?.[0] ?? 0) : session.state.frame,
      }),
    stepBy: (frames) => goto(Math.round(session.state.frame) + frames),
    goto: (end) => goto(end === "first" ? 0 : last()),
    turn: (dx, dy) => set({ camera: rotate(session.state.camera, dx, dy) }),
    zoom: (factor) => set({ camera: zoomAt(session.state.camera, factor, 0, 0, session.height) }),
    closeAll: () => {
      if (!panels.close()) set({ probes: [] });
    },
  };
}
export interface ViewerActions extends Actions {
  play(): void;
  stepBy(frames: number): void;
  goto(end: "first" | "last"): void;
  turn(dx: number, dy: number): void;
  zoom(factor: number): void;
  closeAll(): void;
}

/** Returns true when the key was one of ours. */
export function handleKey(event: KeyboardEvent, session: Session, actions: ViewerActions): boolean {
  if (event.ctrlKey || event.metaKey || event.altKey) return false;
  const { state } = session;
  const modes = ["overlay", "side", "swipe", "difference"] as const;
  const by = event.shiftKey ? 10 : 1;
  const table: Record<string, () => void> = {
    "0": () => actions.preset("home"),
    "1": () => actions.preset("top"),
    "2": () => actions.preset("isometric"),
    "3": () => actions.preset("front"),
    "4": () => actions.preset("side"),
    " ": () => actions.play(),
    ".": () => actions.stepBy(1),
    ",": () => actions.stepBy(-1),
    ">": () => actions.stepBy(10),
    "<": () => actions.stepBy(-10),
    Home: () => actions.goto("first"),
    End: () => actions.goto("last"),
    ArrowLeft: () => actions.turn(-14 * by, 0),
    ArrowRight: () => actions.turn(14 * by, 0),
    ArrowUp: () => actions.turn(0, -14),
    ArrowDown: () => actions.turn(0, 14),
    "+": () => actions.zoom(1.15),
    "=": () => actions.zoom(1.15),
    "-": () => actions.zoom(1 / 1.15),
    p: () => actions.set({ camera: { ...state.camera, ortho: !state.camera.ortho } }),
    r: () => actions.set({ rotating: !state.rotating }),
    "[": () => actions.set({ range: [state.frame, Math.max(state.range?.[1] ?? session.timeline.length - 1, state.frame)] }),
    "]": () => actions.set({ range: [Math.min(state.range?.[0] ?? 0, state.frame), state.frame] }),
    l: () => actions.set({ log: !state.log }),
    w: () => actions.set({ style: nextStyle(state.style) }),
    c: () => actions.set({ contours: !state.contours }),
    f: () => actions.set({ floor: !state.floor }),
    m: () => actions.set({ map: nextMap(state.map) }),
    n: () => actions.set({ noise: !state.noise }),
    t: () => actions.toggleTheme(),
    v: () => {
      if (session.sceneModel.surfaces.length > 1) actions.set({ mode: modes[(modes.indexOf(state.mode) + 1) % 4] });
    },
    s: () => actions.open("settings"),
    e: () => actions.open("share"),
    i: () => actions.open("info"),
    "?": () => actions.open("help"),
    Escape: () => actions.closeAll(),
  };
  const act = table[event.key] ?? table[event.key.toLowerCase()];
  act?.();
  return !!act;
}
