// Animations: camera flights and inertia, the transition between linear and log height, playback, automatic rotation.
import { interpolateCamera, rotate, type Camera } from "./math/camera";
import type { Session } from "./session";
import type { ViewState } from "./state";

const FLIGHT_MS = 420;
const MORPH_MS = 360;

export class Animator {
  private flight: { from: Camera; to: Camera; start: number } | null = null;
  private inertia: { dx: number; dy: number } | null = null;
  private morphTransition: { from: number; to: number; start: number } | null = null;
  private lastFrameTime = 0;
  private lastChangeTime = -Infinity;
  private readonly reducedMotion = typeof matchMedia === "function" && matchMedia("(prefers-reduced-motion: reduce)").matches;

  constructor(private readonly session: Session, private readonly requestFrame: () => void) {}

  /** React to a change of state that takes time to show. */
  onStateChange(state: ViewState, changed: Set<keyof ViewState>): void {
    if (changed.has("log")) this.morphTransition = { from: this.session.morph, to: state.log ? 1 : 0, start: -1 };
    if (
      changed.has("camera") ||
      changed.has("frame") ||
      changed.has("exaggeration") ||
      changed.has("clip") ||
      changed.has("mapView") ||
      changed.has("swipe")
    )
      this.lastChangeTime = performance.now();
  }

  flyTo(to: Camera): void {
    this.inertia = null;
    this.flight = { from: { ...this.session.state.camera }, to, start: -1 };
    this.requestFrame();
  }

  startInertia(dx: number, dy: number): void {
    if (!this.reducedMotion && Math.hypot(dx, dy) > 0.15) this.inertia = { dx, dy };
    this.requestFrame();
  }

  /** No movement outlives this: the camera stays exactly where it is put next. */
  stopCamera(): void { this.inertia = null; this.flight = null; }

  stop(): void { this.stopCamera(); this.morphTransition = null; }

  changedRecently(now: number): boolean { return now - this.lastChangeTime < 160; }

  /** Advance to `now`; true while anything still moves. */
  advance(now: number): boolean {
    const elapsed = this.lastFrameTime && now - this.lastFrameTime < 200 ? now - this.lastFrameTime : 16;
    this.lastFrameTime = now;
    const active = [
      this.advanceFlight(now),
      this.advanceInertia(elapsed),
      this.advanceMorph(now),
      this.advanceFrames(elapsed),
      this.advanceRotation(elapsed),
    ];
    return active.some(Boolean);
  }

  private advanceFlight(now: number): boolean {
    if (!this.flight) return false;
    const { from, to } = this.flight;
    if (this.flight.start < 0) this.flight.start = now;
    const t = this.reducedMotion ? 1 : Math.min(1, (now - this.flight.start) / FLIGHT_MS);
    this.session.store.set({ camera: interpolateCamera(from, to, t * t * (3 - 2 * t)) });
    if (t >= 1) this.flight = null;
    return true;
  }

  private advanceInertia(elapsed: number): boolean {
    if (!this.inertia) return false;
    const { dx, dy } = this.inertia;
    this.session.store.set({ camera: rotate(this.session.state.camera, dx * elapsed, dy * elapsed) });
    const decay = Math.exp(-elapsed / 130);
    this.inertia = Math.hypot(dx, dy) * decay < 0.02 ? null : { dx: dx * decay, dy: dy * decay };
    return true;
  }

  private advanceMorph(now: number): boolean {
    if (!this.morphTransition) return false;
    if (this.morphTransition.start < 0) this.morphTransition.start = now;
    const t = this.reducedMotion ? 1 : Math.min(1, (now - this.morphTransition.start) / MORPH_MS);
    this.session.morph = this.morphTransition.from + (this.morphTransition.to - this.morphTransition.from) * (t * t * (3 - 2 * t));
    if (t >= 1) this.morphTransition = null;
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
