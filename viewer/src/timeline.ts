// Timeline: training steps by frame, from the scene or, without one, from the recorded paths.
import type { PathData, SceneData } from "./data/types";
import { formatNumber } from "./math/ticks";
import { indexAtStep } from "./sceneModel";

export class Timeline {
  readonly length: number;
  readonly milliseconds: number;
  private readonly steps: ArrayLike<number>;

  /** `paths` are those that are shown. */
  constructor(private readonly scene: SceneData, private readonly paths: PathData[]) {
    this.steps = scene.timeline?.step.data ?? pathSteps(paths);
    this.length = this.steps.length;
    this.milliseconds = scene.timeline?.milliseconds ?? Math.max(30, Math.min(120, 8000 / Math.max(this.length, 1)));
  }

  get isAnimated(): boolean { return this.length > 1; }

  /** Training step at a fractional frame. */
  step(frame: number): number {
    if (!this.length) return Infinity;
    const low = Math.max(0, Math.min(Math.floor(frame), this.length - 1));
    const high = Math.min(low + 1, this.length - 1);
    return this.steps[low] + (this.steps[high] - this.steps[low]) * (Math.max(0, Math.min(frame - low, 1)));
  }

  /** The frame at which training step `step` is reached. */
  frameAt(step: number): number {
    for (let k = 0; k < this.length - 1; k++) {
      if (step < this.steps[k + 1]) return k + Math.max(0, (step - this.steps[k]) / (this.steps[k + 1] - this.steps[k]));
    }
    return this.length - 1;
  }

  label(frame: number): string {
    const k = Math.max(0, Math.min(Math.round(frame), this.length - 1));
    const sceneLabel = this.scene.timeline?.label[k];
    if (sceneLabel) return sceneLabel;
    const path = this.paths.find((candidate) => candidate.epoch);
    const at = path ? indexAtStep(path, this.step(k)) : 0;
    const epoch = path?.epoch?.data[Math.round(at)];
    const step = `step ${formatNumber(this.step(k), 6)}`;
    return epoch === undefined || Number.isNaN(epoch) ? step : `${step} · epoch ${formatNumber(epoch, 3)}`;
  }

  isTransition(frame: number): boolean { return !!this.scene.timeline?.cosmetic?.data[Math.round(frame)]; }
  azimuth(frame: number): number | null { return this.scene.timeline?.rotation?.data[Math.round(frame)] ?? null; }
}

const MOST_FRAMES = 100;

/** Every step of the paths, thinned to a film's length. */
function pathSteps(paths: PathData[]): number[] {
  const steps = [...new Set(paths.flatMap((path) => Array.from(path.step.data)))].sort((a, b) => a - b);
  if (steps.length <= MOST_FRAMES) return steps;
  return Array.from({ length: MOST_FRAMES }, (_, k) => steps[Math.round((k * (steps.length - 1)) / (MOST_FRAMES - 1))]);
}
