// Hill-shaded contour map on a 2-D canvas, for browsers without WebGL.
import { h } from "../dom/elements";
import { contourIntervals, contourLevels, contourSegments } from "../math/contour";
import { normalize, transform } from "../math/scale";
import { formatNumber } from "../math/ticks";
import { indexAtStep } from "../sceneModel";
import type { Session } from "../session";

export class FallbackMap {
  readonly canvas = h("canvas", { class: "gl" });
  private pointer: { x: number; y: number } | null = null;

  constructor(private readonly session: Session, wake: () => void) {
    this.canvas.addEventListener("pointermove", (event) => {
      const box = this.canvas.getBoundingClientRect();
      this.pointer = { x: event.clientX - box.left, y: event.clientY - box.top };
      wake();
    });
    this.canvas.addEventListener("pointerleave", () => { this.pointer = null; wake(); });
  }

  draw(width: number, height: number): void {
    const { session } = this;
    const ratio = devicePixelRatio || 1;
    this.canvas.width = width * ratio;
    this.canvas.height = height * ratio;
    const context = this.canvas.getContext("2d")!;
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    const size = Math.min(width - 190, height - 178);
    const [left, top] = [(width - size) / 2, 78];
    const surface = session.drawn[0];
    const scale = session.sceneModel.scale(session.drawn, session.state);
    const morph = session.state.log ? 1 : 0;
    const values = surface.filledValues(session.state.quantity, Math.round(session.state.frame));
    const image = hillshade(values, surface.na, surface.nb, (v) => normalize(scale, v, morph), session.rgb);
    const small = new OffscreenCanvas(surface.na, surface.nb);
    small.getContext("2d")!.putImageData(image, 0, 0);
    context.imageSmoothingQuality = "high";
    context.drawImage(small, left, top, size, size);
    this.paleMissingCells(context, left, top, size);
    this.lines(context, values, left, top, size);
    this.paths(context, left, top, size);
    context.font = "12px system-ui, sans-serif";
    context.fillStyle = session.theme.text;
    context.textAlign = "center";
    const { alpha, beta } = surface;
    context.fillText(
      `${surface.data.alpha_label}: ${formatNumber(alpha[0])} to ${formatNumber(alpha[alpha.length - 1])}`,
      left + size / 2,
      top + size + 20,
    );
    context.fillText(
      `${surface.data.beta_label}: ${formatNumber(beta[0])} to ${formatNumber(beta[beta.length - 1])}`,
      left + size / 2,
      top + size + 36,
    );
    if (this.pointer) this.readout(context, values, left, top, size);
  }

  /** Cells that are not computed, paled. */
  private paleMissingCells(context: CanvasRenderingContext2D, left: number, top: number, size: number): void {
    const { na, nb, doneMask } = this.session.drawn[0];
    if (!doneMask) return;
    context.fillStyle = "rgba(255,255,255,.45)";
    const [w, h] = [size / na, size / nb];
    for (let i = 0; i < na; i++)
      for (let j = 0; j < nb; j++) if (!doneMask[i * nb + j]) context.fillRect(left + i * w, top + (nb - 1 - j) * h, w, h);
  }

  private lines(context: CanvasRenderingContext2D, values: ArrayLike<number>, left: number, top: number, size: number): void {
    const { session } = this;
    const surface = session.drawn[0];
    const scale = session.sceneModel.scale(session.drawn, session.state);
    const steps = contourIntervals(scale, session.state.interval);
    context.strokeStyle = "rgba(10,14,24,.45)";
    context.lineWidth = 0.8;
    const transformed = (v: number) => (session.state.log ? transform(scale, v) : v);
    for (const level of contourLevels(scale, session.state.log, steps)) {
      context.beginPath();
      for (const [i0, j0, i1, j1] of contourSegments(values, surface.na, surface.nb, level, transformed)) {
        context.moveTo(left + (i0 / (surface.na - 1)) * size, top + (1 - j0 / (surface.nb - 1)) * size);
        context.lineTo(left + (i1 / (surface.na - 1)) * size, top + (1 - j1 / (surface.nb - 1)) * size);
      }
      context.stroke();
    }
  }

  private paths(context: CanvasRenderingContext2D, left: number, top: number, size: number): void {
    const { session } = this;
    const { alpha, beta } = session.drawn[0];
    session.sceneModel.paths(session.state).forEach(({ path, color: pathColor }) => {
      const until = Number.isFinite(session.step) ? indexAtStep(path, session.step) : Infinity;
      for (const [width, color] of [[5, "#fff"], [2.5, pathColor]] as const) {
        context.beginPath();
        for (let n = 0; n < path.alpha.data.length && n <= until; n++) {
          context.lineTo(
            left + ((path.alpha.data[n] - alpha[0]) / (alpha[alpha.length - 1] - alpha[0])) * size,
            top + (1 - (path.beta.data[n] - beta[0]) / (beta[beta.length - 1] - beta[0])) * size,
          );
        }
        context.strokeStyle = color;
        context.lineWidth = width;
        context.stroke();
      }
    });
  }

  private readout(context: CanvasRenderingContext2D, values: ArrayLike<number>, left: number, top: number, size: number): void {
    const { session } = this;
    const surface = session.drawn[0];
    const i = Math.round(((this.pointer!.x - left) / size) * (surface.na - 1));
    const j = Math.round((1 - (this.pointer!.y - top) / size) * (surface.nb - 1));
    if (i < 0 || j < 0 || i >= surface.na || j >= surface.nb) return;
    const value = formatNumber(values[i * surface.nb + j], 5);
    const text = `${formatNumber(surface.alpha[i])}, ${formatNumber(surface.beta[j])}: ${session.state.quantity} ${value}`;
    context.textAlign = "left";
    const w = context.measureText(text).width + 16;
    context.fillStyle = session.theme.paper;
    context.fillRect(this.pointer!.x + 12, this.pointer!.y + 8, w, 24);
    context.fillStyle = session.theme.text;
    context.fillText(text, this.pointer!.x + 20, this.pointer!.y + 24);
  }
}

/** Colors by share, darkened and lightened by the slope towards the north-west. */
export function hillshade(values: ArrayLike<number>, na: number, nb: number, toShare: (v: number) => number, rgb: Uint8Array): ImageData {
  const image = new ImageData(na, nb);
  const at = (i: number, j: number) => toShare(values[Math.max(0, Math.min(na - 1, i)) * nb + Math.max(0, Math.min(nb - 1, j))]);
  for (let i = 0; i < na; i++) for (let j = 0; j < nb; j++) {
    const s = at(i, j);
    if (!Number.isFinite(s)) continue;
    const slope = ((at(i + 1, j) - at(i - 1, j)) - (at(i, j + 1) - at(i, j - 1))) * na * 0.12;
    const light = Math.max(0.72, Math.min(1.2, 1 + (Number.isFinite(slope) ? slope : 0)));
    const c = Math.round(Math.max(0, Math.min(1, s)) * 255) * 3;
    image.data.set([rgb[c] * light, rgb[c + 1] * light, rgb[c + 2] * light, 255], 4 * ((nb - 1 - j) * na + i));
  }
  return image;
}
