// Axes of the 3-D views and of the contour pane: ticks and labels on the 2-D overlay canvas.
import { project } from "../gl/projection";
import type { View } from "../gl/viewLayout";
import { viewAxes } from "../math/camera";
import { formatTick, linearTicks, niceStep } from "../math/ticks";
import { drawText, type OverlayContext } from "./marks";

/** Ticks and names of both plane axes along the front edges, and of the height along the right-most upright edge. */
export function drawSurfaceAxes(
  overlay: OverlayContext,
  view: View,
  labels: { alpha: string; beta: string },
  heights: { z: number; label: string }[],
): void {
  const { state, world } = overlay;
  const { back } = viewAxes(state.camera);
  const at = (x: number, y: number, z: number) => project(view, state, world, x, y, z);
  const small = Math.min(view.rect.width, view.rect.height) < 330;
  const [frontX, frontY] = [back[0] > 0 ? world.halfX : -world.halfX, back[1] > 0 ? world.halfY : -world.halfY];
  drawAxis(
    overlay,
    view,
    linearTicks(world.a[0], world.a[1], small ? 2 : 4),
    world.a,
    (v) => [world.x(v), frontY],
    [0, Math.sign(frontY)],
    labels.alpha,
    Math.abs(back[0]) > 0.985 && back[2] < 0.5,
  );
  drawAxis(
    overlay,
    view,
    linearTicks(world.b[0], world.b[1], small ? 2 : 4),
    world.b,
    (v) => [frontX, world.y(v)],
    [Math.sign(frontX), 0],
    labels.beta,
    Math.abs(back[1]) > 0.985 && back[2] < 0.5,
  );
  if (state.camera.elevation > 75 || small) return;
  const corners: [number, number][] = [
    [frontX, -frontY],
    [-frontX, frontY],
  ];
  const [x, y] = corners.reduce((a, b) => (at(a[0], a[1], 0)[0] > at(b[0], b[1], 0)[0] ? a : b));
  let last = Infinity;
  for (const { z, label } of heights) {
    const [px, py] = at(x, y, z);
    if (Math.abs(last - py) < 13) continue;
    last = py;
    drawText(overlay, label, px + 9, py, { size: 11, align: "left" });
  }
}

export function drawAxis(
  overlay: OverlayContext,
  view: View,
  ticks: number[],
  range: [number, number],
  position: (v: number) => [number, number],
  out: [number, number],
  label: string,
  foreshortened: boolean,
): void {
  if (foreshortened) return;
  const { state, world } = overlay;
  const step = niceStep(range[1] - range[0], 4);
  // A label moves outwards by half its width, so that it does not cover the numbers.
  const offset = (near: number, v: number, labelHalfWidth = 0): [number, number] => {
    const [x, y] = position(v);
    const [px, py] = project(view, state, world, x, y, 0);
    const [qx, qy] = project(view, state, world, x + out[0] * 0.1, y + out[1] * 0.1, 0);
    const length = Math.hypot(qx - px, qy - py) || 1;
    const distance = near + labelHalfWidth * Math.max(0, Math.abs(qx - px) / length - 0.25);
    return [px + ((qx - px) / length) * distance, py + ((qy - py) / length) * distance];
  };
  for (const tick of ticks) drawText(overlay, formatTick(tick, step), ...offset(17, tick), { size: 11.5 });
  const middle = (range[0] + range[1]) / 2;
  // The label goes between two ticks where the middle carries a number.
  const nudge = ticks.some((t) => Math.abs(t - middle) < step * 0.2) ? (range[1] - range[0]) * 0.001 : 0;
  const half = label.length > 3 ? label.length * 3.3 : 0;
  const [px, py] = offset(label.length > 3 ? 44 : 38, middle + nudge, half);
  const inside = Math.max(view.rect.x + half + 6, Math.min(view.rect.x + view.rect.width - half - 6, px));
  drawText(overlay, label, inside, py, {
    size: label.length > 3 ? 12.5 : 16,
    weight: 500,
    italic: label.length <= 3,
    color: overlay.theme.text,
  });
}

/** A frame with ticks for the contour pane. */
export function drawMapAxes(overlay: OverlayContext, view: View, labels: { alpha: string; beta: string }, large: boolean): void {
  const { context, theme, state, world } = overlay;
  const { rect } = view;
  context.strokeStyle = theme.name === "dark" ? "rgba(255,255,255,.28)" : "rgba(23,28,43,.28)";
  context.lineWidth = 1;
  context.strokeRect(rect.x - 0.5, rect.y - 0.5, rect.width + 1, rect.height + 1);
  const [w, h] = [world.halfX / state.mapView.zoom, world.halfY / state.mapView.zoom];
  const a: [number, number] = [world.alpha(state.mapView.x - w), world.alpha(state.mapView.x + w)];
  const b: [number, number] = [world.beta(state.mapView.y - h), world.beta(state.mapView.y + h)];
  const [countA, countB] = large ? [rect.width, rect.height].map((size) => Math.max(2, Math.min(6, Math.round(size / 64)))) : [2, 2];
  const stepA = niceStep(a[1] - a[0], countA);
  const stepB = niceStep(b[1] - b[0], countB);
  for (const v of linearTicks(a[0], a[1], countA)) {
    const x = rect.x + ((v - a[0]) / (a[1] - a[0])) * rect.width;
    drawText(overlay, formatTick(v, stepA), Math.max(x, rect.x + 6), rect.y + rect.height + 11, { size: large ? 12 : 10 });
  }
  for (const v of linearTicks(b[0], b[1], countB)) {
    const y = rect.y + rect.height - ((v - b[0]) / (b[1] - b[0])) * rect.height;
    if (large) drawText(overlay, formatTick(v, stepB), rect.x - 8, y, { size: 12, align: "right" });
    else drawText(overlay, formatTick(v, stepB), rect.x + rect.width + 7, y, { size: 10, align: "left" });
  }
  if (!large) return;
  drawText(overlay, labels.alpha, rect.x + rect.width / 2, rect.y + rect.height + 32, {
    size: labels.alpha.length > 3 ? 13 : 16,
    italic: labels.alpha.length <= 3,
    color: theme.text,
  });
  context.save();
  context.translate(rect.x - 44, rect.y + rect.height / 2);
  context.rotate(labels.beta.length > 3 ? -Math.PI / 2 : 0);
  drawText(overlay, labels.beta, 0, 0, { size: labels.beta.length > 3 ? 13 : 16, italic: labels.beta.length <= 3, color: theme.text });
  context.restore();
}
