// Interface of a viewer as the exporters need it; it keeps them independent of the viewer itself.
import type { Session } from "../session";

export interface Exportable {
  readonly session: Session;
  /** The canvas that WebGL draws into. */
  readonly glCanvas: HTMLCanvasElement;
  /** Draw the current frame at full quality, with `ratio` device pixels a CSS pixel. */
  drawNow(ratio?: number): void;
  /** Draw again at the next animation frame. */
  invalidate(): void;
  /** Show a short message. */
  toast(message: string): void;
}
