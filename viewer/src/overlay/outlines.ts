// Outlines of stored regions, and of the cells within two standard errors of the minimum.
import type { Surface } from "../data/surface";
import { project } from "../gl/projection";
import type { SurfaceMesh } from "../gl/surfaceMesh";
import type { View } from "../gl/viewLayout";
import { contourSegments } from "../math/contour";
import type { Session } from "../session";
import { drawText, isHidden, type OverlayContext } from "./marks";

/**
 * Excess of each cell over the lowest one beyond two joint standard errors; at or below zero the two are not distinguished.
 * Null where no errors are known.
 */
export function excessOverNoise(surface: Surface, quantity: string): Float64Array | null {
  const field = surface.field(quantity);
  if (surface.frameCount(quantity) > 1 || !field) return null;
  const { doubtful, standard_error: error } = field;
  if (doubtful) return Float64Array.from(doubtful.data as ArrayLike<number>, (d) => (d ? -1 : 1));
  const values = surface.frameValues(quantity, 0);
  const usable = (k: number) => Number.isFinite(values[k]) && Number.isFinite(error!.data[k]) && (!surface.doneMask || surface.doneMask[k]);
  if (!error) return null;
  let low = -1;
  for (let k = 0; k < values.length; k++) if (usable(k) && (low < 0 || values[k] < values[low])) low = k;
  if (low < 0) return null;
  return Float64Array.from(values as ArrayLike<number>, (v, k) =>
    usable(k) ? v - values[low] - 2 * Math.hypot(error.data[k], error.data[low]) : NaN,
  );
}

export function hasStandardErrors(session: Session): boolean {
  return session.drawn.some((surface) => excessOverNoise(surface, session.state.quantity) !== null);
}

export function drawOutlines(session: Session, overlay: OverlayContext, view: View, surfaceMesh: SurfaceMesh): void {
  for (const outline of session.scene.outlines ?? []) {
    const n = outline.alpha.data.length;
    const at = Array.from({ length: n + 1 }, (_, k): [number, number] => [outline.alpha.data[k % n], outline.beta.data[k % n]]);
    strokeSegments(session, overlay, view, surfaceMesh, at.slice(1).map((to, k) => [at[k], to]), outline.color ?? "#111", []);
    if (!outline.label || view.kind !== "map" || session.state.map === "inset") continue;
    const [px, py] = projectPoint(session, overlay, view, surfaceMesh, at.reduce((best, point) => (point[1] > best[1] ? point : best)));
    drawText(overlay, outline.label, px, py - 10, { size: 11, color: overlay.theme.text });
  }
  if (!session.state.noise) return;
  const surface = surfaceMesh.surface;
  const above = excessOverNoise(surface, session.state.quantity);
  if (!above) return;
  const at = (axis: ArrayLike<number>, index: number) => {
    const k = Math.min(Math.floor(index), axis.length - 2);
    return axis[k] + (axis[k + 1] - axis[k]) * (index - k);
  };
  const segments = contourSegments(above, surface.na, surface.nb, 0).map(([i0, j0, i1, j1]): Segment => [
    [at(surface.alpha, i0), at(surface.beta, j0)],
    [at(surface.alpha, i1), at(surface.beta, j1)],
  ]);
  if (view.kind === "map") hatchCells(session, overlay, view, surface, above);
  strokeSegments(session, overlay, view, surfaceMesh, segments, "#ffffff", [5, 3]);
}

type Segment = [[number, number], [number, number]];

function projectPoint(
  session: Session,
  overlay: OverlayContext,
  view: View,
  surfaceMesh: SurfaceMesh,
  [a, b]: [number, number],
): [number, number] {
  const { world } = overlay;
  const [x, y] = [world.x(a), world.y(b)];
  const value = surfaceMesh.valueAt(x, y);
  const [px, py] = project(view, session.state, world, x, y, view.kind === "map" || Number.isNaN(value) ? 0 : world.z(value) + 0.006);
  return [px, py];
}

/** Stroke segments on the map or draped on the surface; hidden ones are left out. */
function strokeSegments(
  session: Session,
  overlay: OverlayContext,
  view: View,
  surfaceMesh: SurfaceMesh,
  segments: Segment[],
  color: string,
  dash: number[],
): void {
  const { context, world } = overlay;
  const seen = (a: number, b: number) => {
    const [x, y] = [world.x(a), world.y(b)];
    const value = surfaceMesh.valueAt(x, y);
    return view.kind === "map" || !(Number.isNaN(value) || isHidden(surfaceMesh, world, session.state, [x, y, world.z(value) + 0.006]));
  };
  const shown = segments.filter(([from, to]) => seen((from[0] + to[0]) / 2, (from[1] + to[1]) / 2));
  for (const [width, ink, pattern] of [
    [3.6, color === "#ffffff" ? "rgba(10,14,24,.55)" : "rgba(255,255,255,.85)", []],
    [1.7, color, dash],
  ] as [number, string, number[]][]) {
    context.beginPath();
    for (const [from, to] of shown) {
      context.moveTo(...projectPoint(session, overlay, view, surfaceMesh, from));
      context.lineTo(...projectPoint(session, overlay, view, surfaceMesh, to));
    }
    context.setLineDash(pattern);
    context.lineWidth = width;
    context.strokeStyle = ink;
    context.stroke();
  }
  context.setLineDash([]);
}

/** The cells within the noise, hatched as in figures. */
function hatchCells(session: Session, overlay: OverlayContext, view: View, surface: Surface, above: Float64Array): void {
  const { context, world } = overlay;
  const edges = (axis: ArrayLike<number>, k: number): [number, number] => [
    k ? (axis[k - 1] + axis[k]) / 2 : axis[0],
    k < axis.length - 1 ? (axis[k] + axis[k + 1]) / 2 : axis[axis.length - 1],
  ];
  const { rect } = view;
  context.save();
  context.beginPath();
  context.rect(rect.x, rect.y, rect.width, rect.height);
  context.clip();
  context.beginPath();
  for (let i = 0; i < surface.na; i++) for (let j = 0; j < surface.nb; j++) {
    if (!(above[i * surface.nb + j] <= 0)) continue;
    const [[a0, a1], [b0, b1]] = [edges(surface.alpha, i), edges(surface.beta, j)];
    const [x0, y0] = project(view, session.state, world, world.x(a0), world.y(b0), 0);
    const [x1, y1] = project(view, session.state, world, world.x(a1), world.y(b1), 0);
    context.rect(x0, y1, x1 - x0, y0 - y1);
  }
  context.clip();
  context.beginPath();
  for (let x = rect.x - rect.height; x < rect.x + rect.width; x += 6) {
    context.moveTo(x, rect.y);
    context.lineTo(x + rect.height, rect.y + rect.height);
  }
  context.lineWidth = 1;
  context.strokeStyle = "rgba(255,255,255,.75)";
  context.stroke();
  context.restore();
}
