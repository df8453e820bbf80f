// Adaptive quality: lower resolution and fewer triangles while moving, as the frame rate demands; full quality at rest.

export interface Level { ratio: number; stride: number }

export const LEVELS: Level[] = [
  { ratio: 1, stride: 1 },
  { ratio: 0.75, stride: 1 },
  { ratio: 0.6, stride: 2 },
  { ratio: 0.5, stride: 2 },
  { ratio: 0.4, stride: 4 },
];
const SLOW_MS = 42;
const FAST_MS = 14;
const REST_MS = 220;

export class AdaptiveQuality {
  level = 0;
  /** Where motion last had to settle; the next drag starts there instead of stuttering again. */
  private lastLevel = 0;
  private moving = false;
  private lastFrame = 0;
  private lastMotion = -Infinity;
  private slowFrames = 0;
  private fastFrames = 0;

  /** Call at each drawn frame; `moving` says whether anything changes. Returns the level to draw with. */
  frame(now: number, moving: boolean): Level {
    if (moving) this.lastMotion = now;
    const active = now - this.lastMotion < REST_MS;
    if (active && !this.moving) this.level = this.lastLevel;
    else if (active) this.adapt(now - this.lastFrame);
    if (!active) this.level = 0;
    this.moving = active;
    this.lastFrame = now;
    return LEVELS[this.level];
  }

  /** Milliseconds until full quality is due, or null when it is already drawn. */
  get settlesIn(): number | null { return this.moving ? REST_MS : null; }

  private adapt(elapsed: number): void {
    this.slowFrames = elapsed > SLOW_MS ? this.slowFrames + 1 : 0;
    this.fastFrames = elapsed < FAST_MS ? this.fastFrames + 1 : 0;
    if (this.slowFrames >= 2 || elapsed > 4 * SLOW_MS) this.changeLevel(elapsed > 3 * SLOW_MS ? 2 : 1);
    else if (this.fastFrames > 40) this.changeLevel(-1);
  }

  private changeLevel(by: number): void {
    this.level = Math.max(0, Math.min(LEVELS.length - 1, this.level + by));
    this.lastLevel = this.level;
    this.slowFrames = this.fastFrames = 0;
  }
}
