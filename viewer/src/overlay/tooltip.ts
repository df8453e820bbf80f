// Tooltip beside the pointer: coordinates, values, standard error, differences, the nearest path point.
import type { Surface } from "../data/surface";
import type { PathData } from "../data/types";
import { h } from "../dom/elements";
import { project } from "../gl/projection";
import { bilinear, fractionalIndex } from "../math/interpolation";
import { formatNumber } from "../math/ticks";
import { indexAtStep } from "../sceneModel";
import type { HoverTarget, Session } from "../session";

export type Row = [string, string, boolean?];

export function tooltipRows(session: Session, at: HoverTarget): Row[] {
  const { surface } = at;
  const { state } = session;
  const out: Row[] = [
    [surface.data.alpha_label || "α", formatNumber(at.alpha, 4)],
    [surface.data.beta_label || "β", formatNumber(at.beta, 4)],
  ];
  out.push([
    quantityLabel(surface, state.quantity),
    Number.isNaN(at.value) ? "not finite (a hole)" : withUnits(surface, state.quantity, at.value),
    true,
  ]);
  const uncertainty = uncertaintyRow(surface, state.quantity, at);
  if (uncertainty) out.push(uncertainty);
  if (state.log && at.value > 0) out.push(["log₁₀", formatNumber(Math.log10(at.value), 3)]);
  for (const quantity of surface.quantities) {
    if (quantity !== state.quantity)
      out.push([quantityLabel(surface, quantity), withUnits(surface, quantity, valueAt(surface, quantity, state.frame, at))]);
  }
  for (const other of session.drawn) {
    if (other === surface) continue;
    const value = session.renderer ? session.renderer.meshOf(other).valueAt(at.x, at.y) : NaN;
    out.push([other.label, Number.isNaN(value) ? "no value here" : `${formatNumber(value, 4)} (${formatSigned(value - at.value)})`]);
  }
  if (isInterpolated(surface, at)) out.push(["", "not computed yet: filled in from its neighbors"]);
  return [...out, ...pathRows(session, at)];
}

export class Tooltip {
  readonly element = h("div", { class: "tooltip", role: "status", hidden: true });

  show(session: Session, at: HoverTarget): void {
    const lines = tooltipRows(session, at).map(([key, value, strong]) =>
      h("div", { class: strong ? "strong" : "" }, key ? h("b", {}, key) : null, h("span", {}, value)),
    );
    this.element.replaceChildren(...lines);
    this.element.hidden = false;
    const { offsetWidth: w, offsetHeight: height } = this.element;
    const left = at.px + 18 + w > session.width - 8 ? at.px - w - 18 : at.px + 18;
    const top = Math.max(8, Math.min(at.py + 14, session.height - height - 8));
    this.element.style.transform = `translate(${Math.max(8, left)}px, ${top}px)`;
  }

  hide(): void { this.element.hidden = true; }
}

/** Other quantities are read bilinearly between computed cells. */
function valueAt(surface: Surface, quantity: string, frame: number, at: { alpha: number; beta: number }): number {
  const [i, j] = [fractionalIndex(surface.alpha, at.alpha), fractionalIndex(surface.beta, at.beta)];
  return Number.isNaN(i) || Number.isNaN(j)
    ? NaN
    : bilinear(surface.frameValues(quantity, Math.round(frame)), surface.na, surface.nb, i, j);
}

/** The nearest cell's 95 % interval where it has one, as figures draw it; else its standard error. */
export function uncertaintyRow(surface: Surface, quantity: string, at: { alpha: number; beta: number }): Row | null {
  const [i, j] = [fractionalIndex(surface.alpha, at.alpha), fractionalIndex(surface.beta, at.beta)];
  const { interval, standard_error: error } = surface.field(quantity) ?? {};
  if (Number.isNaN(i) || Number.isNaN(j)) return null;
  const cell = Math.round(i) * surface.nb + Math.round(j);
  const ends = interval?.map((end) => end.data[cell]) ?? [];
  if (ends.length && ends.every(Number.isFinite)) return ["95 % interval", ends.map((end) => formatNumber(end, 3)).join(" to ")];
  return error && Number.isFinite(error.data[cell]) ? ["± standard error", formatNumber(error.data[cell], 2)] : null;
}

function isInterpolated(surface: Surface, at: { alpha: number; beta: number }): boolean {
  const [i, j] = [fractionalIndex(surface.alpha, at.alpha), fractionalIndex(surface.beta, at.beta)];
  return !!surface.doneMask && !Number.isNaN(i) && !Number.isNaN(j) && !surface.doneMask[Math.round(i) * surface.nb + Math.round(j)];
}

/** The nearest visible point of a path, when the pointer is close to one. */
function pathRows(session: Session, at: HoverTarget): Row[] {
  const { renderer, state, sceneModel } = session;
  if (!renderer) return [];
  const view = session.views().find((v) => v.kind === "surface") ?? session.views()[0];
  const surfaceMesh = renderer.meshOf(at.surface);
  let best: { path: PathData; k: number; distance: number } | null = null;
  for (const { path } of sceneModel.paths(state)) {
    if (state.hiddenPaths.includes(path.name) || !sceneModel.showsPath(at.surface, path)) continue;
    const until = indexAtStep(path, session.step);
    for (let k = 0; k < path.alpha.data.length && k <= until + 1e-9; k++) {
      const [x, y] = [renderer.world.x(path.alpha.data[k]), renderer.world.y(path.beta.data[k])];
      const [px, py] = project(view, state, renderer.world, x, y, renderer.world.z(surfaceMesh.valueAt(x, y)));
      const distance = Math.hypot(px - at.px, py - at.py);
      if (distance < 9 && (!best || distance < best.distance)) best = { path, k, distance };
    }
  }
  return best ? pathPoint(best.path, best.k) : [];
}

function pathPoint(path: PathData, k: number): Row[] {
  const at = (array: { data: ArrayLike<number> } | null) => (array ? array.data[k] : NaN);
  const out: Row[] = [
    [
      path.label || path.name,
      `step ${formatNumber(path.step.data[k], 6)}${Number.isNaN(at(path.epoch)) ? "" : `, epoch ${formatNumber(at(path.epoch), 3)}`}`,
      true,
    ],
  ];
  if (!Number.isNaN(at(path.loss))) out.push(["its own loss", formatNumber(at(path.loss), 4)]);
  if (!Number.isNaN(at(path.accuracy))) out.push(["its accuracy", formatNumber(at(path.accuracy), 3)]);
  if (at(path.residual) > 0) out.push(["distance from the plane", formatNumber(at(path.residual), 3)]);
  if (!Number.isNaN(at(path.plane_loss)) && at(path.residual) > 0)
    out.push(["the plane's loss below it", formatNumber(at(path.plane_loss), 4)]);
  return out;
}

function quantityLabel(surface: Surface, quantity: string): string {
  return (surface.field(quantity)?.label || quantity).replace(/\s*[[(].*$/, "");
}

function withUnits(surface: Surface, quantity: string, value: number): string {
  const units = surface.field(quantity)?.units ?? "";
  return `${formatNumber(value, 5)}${units && !["1", "fraction"].includes(units) ? ` ${units}` : ""}`;
}

function formatSigned(value: number): string {
  return value > 0 ? `+${formatNumber(value, 2)}` : formatNumber(value, 2);
}
