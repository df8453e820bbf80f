// Adaptive quality: coarser pixels and triangles while moving, as far as the frame rate asks for; full quality at rest.

export interface Level { ratio: number; stride: number }

export const LEVELS: Level[] = [
  { ratio: 1, stride: 1 },
  { ratio: 0.75, stride: 1 },
  { ratio: 0.6, stride: 2 },
  { ratio: 0.5, stride: 2 },
  { ratio: 0.4, stride: 4 },
];
const SLOW = 42;
const FAST = 14;
const REST = 220;

export class Quality {
  level = 0;
  /** Where motion last had to settle; the next drag starts there instead of stuttering again. */
  private learned = 0;
  private moving = false;
  private lastFrame = 0;
  private lastMotion = -Infinity;
  private slow = 0;
  private fast = 0;

  /** Call at each drawn frame; `moving` says whether anything changes. Returns the level to draw with. */
  frame(now: number, moving: boolean): Level {
    if (moving) this.lastMotion = now;
    const active = now - this.lastMotion < REST;
    if (active && !this.moving) this.level = this.learned;
    else if (active) this.adapt(now - this.lastFrame);
    if (!active) this.level = 0;
    this.moving = active;
    this.lastFrame = now;
    return LEVELS[this.level];
  }

  /** Milliseconds until full quality is due, or null when it is already drawn. */
  get settlesIn(): number | null { return this.moving ? REST : null; }

  private adapt(elapsed: number): void {
    this.slow = elapsed > SLOW ? this.slow + 1 : 0;
    this.fast = elapsed < FAST ? this.fast + 1 : 0;
    if (this.slow >= 2 || elapsed > 4 * SLOW) this.move(elapsed > 3 * SLOW ? 2 : 1);
    else if (this.fast > 40) this.move(-1);
  }

  private move(by: number): void {
    this.level = Math.max(0, Math.min(LEVELS.length - 1, this.level + by));
    this.learned = this.level;
    this.slow = this.fast = 0;
  }
}
