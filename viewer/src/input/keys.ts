// What keys and buttons do, as verbs on a session.
import type { Motion } from "../animator";
import type { Session } from "../session";
import type { ViewState } from "../state";
import { HOME, PRESETS, rotate, zoomAt, type Camera } from "../math/camera";
import type { Keys } from "../chrome/help";
import type { Panels } from "../chrome/panels";

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
