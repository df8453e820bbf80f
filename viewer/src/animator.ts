// Everything that moves by itself: camera flights, glide after a drag, the log morph, playing frames, slow rotation.
import { blend, rotate, type Camera } from "./math/camera";
import type { Session } from "./session";
import type { ViewState } from "./state";

const FLIGHT = 420;
const MORPH = 360;

export class Motion {
  private flight: { from: Camera; to: Camera; start: number } | null = null;
  private gliding: { dx: number; dy: number } | null = null;
  private morphing: { from: number; to: number; start: number } | null = null;
  private before = 0;
  private lastChange = -Infinity;
  private readonly calm = typeof matchMedia === "function" && matchMedia("(prefers-reduced-motion: reduce)").matches;

  constructor(private readonly session: Session, private readonly wake: () => void) {}

  /** React to a change of state that takes time to show. */
  follow(state: ViewState, changed: Set<keyof ViewState>): void {
    if (changed.has("log")) this.morphing = { from: this.session.morph, to: state.log ? 1 : 0, start: -1 };
    if (changed.has("camera") || changed.has("frame") || changed.has("exaggeration") || changed.has("clip") || changed.has("mapView") || changed.has("swipe")) this.lastChange = performance.now();
  }

  fly(to: Camera): void {
    this.gliding = null;
    this.flight = { from: { ...this.session.state.camera }, to, start: -1 };
    this.wake();
  }

  glide(dx: number, dy: number): void {
    if (!this.calm && Math.hypot(dx, dy) > 0.15) this.gliding = { dx, dy };
    this.wake();
  }

  /** No movement outlives this: the camera stays exactly where it is put next. */
  stopGlide(): void { this.gliding = null; this.flight = null; }

  stop(): void { this.stopGlide(); this.morphing = null; }

  changedRecently(now: number): boolean { return now - this.lastChange < 160; }

  /** Advance to `now`; true while anything still moves. */
  advance(now: number): boolean {
    const elapsed = this.before && now - this.before < 200 ? now - this.before : 16;
    this.before = now;
    const active = [this.advanceFlight(now), this.advanceGlide(elapsed), this.advanceMorph(now), this.advanceFrames(elapsed), this.advanceRotation(elapsed)];
    return active.some(Boolean);
  }

  private advanceFlight(now: number): boolean {
    if (!this.flight) return false;
    const { from, to } = this.flight;
    if (this.flight.start < 0) this.flight.start = now;
    const t = this.calm ? 1 : Math.min(1, (now - this.flight.start) / FLIGHT);
    this.session.store.set({ camera: blend(from, to, t * t * (3 - 2 * t)) });
    if (t >= 1) this.flight = null;
    return true;
  }

  private advanceGlide(elapsed: number): boolean {
    if (!this.gliding) return false;
    const { dx, dy } = this.gliding;
    this.session.store.set({ camera: rotate(this.session.state.camera, dx * elapsed, dy * elapsed) });
    const decay = Math.exp(-elapsed / 130);
    this.gliding = Math.hypot(dx, dy) * decay < 0.02 ? null : { dx: dx * decay, dy: dy * decay };
    return true;
  }

  private advanceMorph(now: number): boolean {
    if (!this.morphing) return false;
    if (this.morphing.start < 0) this.morphing.start = now;
    const t = this.calm ? 1 : Math.min(1, (now - this.morphing.start) / MORPH);
    this.session.morph = this.morphing.from + (this.morphing.to - this.morphing.from) * (t * t * (3 - 2 * t));
    if (t >= 1) this.morphing = null;
    return true;
  }

  private advanceFrames(elapsed: number): boolean {
    const { state, timeline, store } = this.session;
    if (!state.playing) return false;
    const last = timeline.length - 1;
    const [begin, end] = state.range && state.range[1] > state.range[0] ? state.range : [0, last];
    let frame = state.frame + (elapsed * state.speed) / timeline.milliseconds;
    if (frame >= end) {
      if (state.loop === "once") { store.set({ frame: end, playing: false }); return false; }
      // A short rest at the end, then from the beginning.
      frame = frame > end + 600 / timeline.milliseconds ? begin : frame;
    }
    const azimuth = timeline.azimuth(Math.min(frame, end));
    store.set({ frame, ...(azimuth === null ? {} : { camera: { ...state.camera, azimuth } }) });
    return true;
  }

  private advanceRotation(elapsed: number): boolean {
    const { state, store } = this.session;
    if (!state.rotating) return false;
    store.set({ camera: { ...state.camera, azimuth: state.camera.azimuth + elapsed * 0.012 } });
    return true;
  }
}
