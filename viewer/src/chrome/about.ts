// Provenance notes as a panel, and a text description of the scene for screen readers.
import { onSameGrid } from "../data/difference";
import { OFF_PLANE_FRACTION } from "../data/offPlane";
import { h } from "../dom/elements";
import { contourIntervals } from "../math/contour";
import { formatNumber, formatPercent } from "../math/ticks";
import { hasStandardErrors } from "../overlay/outlines";
import { jointRange } from "../sceneModel";
import type { Session } from "../session";

const STANDARD_ERROR_LINE = /^standard error of a cell's (.+?) (for all|up to) /;

/** Without the standard errors of other quantities than the one that is shown. */
function linesOfQuantity(lines: string[], quantity: string): string[] {
  const shown = quantity.replace(/_standard_error$/, "").replaceAll("_", " ");
  return lines.filter((line) => (STANDARD_ERROR_LINE.exec(line)?.[1] ?? shown) === shown);
}

export function notes(session: Session): string[] {
  const { scene, sceneModel, state } = session;
  const shown = sceneModel.visible(state).map((s) => s.data);
  const surfaces = shown.length ? [...shown, ...sceneModel.lines.map((s) => s.data)] : scene.surfaces;
  const elsewhere = state.log && surfaces.some((s) => s.notes.some((note) => /estimated error/.test(note) && !/log range/.test(note)));
  const caution = elsewhere
    ? ["The estimated error is for a linear scale; on this log scale low values between computed cells may be far off."]
    : [];
  return [
    ...new Set([
      ...scene.notes,
      ...surfaces.flatMap((s) => linesOfQuantity(s.notes, state.quantity)),
      ...caution,
      ...sceneModel.paths(state).flatMap(({ path }) => path.notes),
    ]),
  ];
}

/** Warnings that surfaces on different planes or grids can be compared in shape only. */
export function comparisonWarnings(session: Session): string[] {
  const shown = session.sceneModel.visible(session.state);
  if (shown.length < 2) return [];
  const planes = (session.scene.meta.planes ?? {}) as Record<string, Record<string, unknown>>;
  const apart = differingProperties(shown.map((s) => planes[s.name] ?? {}));
  const out: string[] = [];
  if (apart.length)
    out.push(`These surfaces lie on different planes (${apart.join(", ")}): their shapes can be compared, not their points.`);
  if (session.state.mode === "difference" && shown.some((s) => !onSameGrid(shown[0], s)))
    out.push("Their grids differ; a difference is read between cells.");
  return out;
}

const PLANE_PROPERTY_LABELS: Record<string, string> = {
  center_hash: "another model at the center",
  direction_hashes: "other directions",
  parameters: "other parameters moved",
  axis_labels: "other axes",
};

/** Properties in which planes differ, at most three: what is moved first, then how the directions were made. */
function differingProperties(planes: Record<string, unknown>[]): string[] {
  const keys = [...new Set(planes.flatMap(Object.keys))].filter(
    (key) => new Set(planes.map((p) => JSON.stringify(p[key] ?? null))).size > 1,
  );
  const values = (key: string) => [...new Set(planes.map((p) => p[key]).filter((v) => v !== undefined).map(String))];
  const label = (key: string) =>
    PLANE_PROPERTY_LABELS[key] ?? (values(key).length > 3 ? `several of ${key}` : `${key} ${values(key).join(" and ")}`);
  const first = Object.keys(PLANE_PROPERTY_LABELS);
  return [...first.filter((key) => keys.includes(key)), ...keys.filter((key) => !first.includes(key))].slice(0, 3).map(label);
}

const DASHED_LINES_NOTE =
  `A line is solid where the iterate lies within ${100 * OFF_PLANE_FRACTION} % of the window of the plane, ` +
  "dashed where it is farther away: there the line is its shadow on the plane. Stems lead from the shadow to the iterate's own loss.";

export function aboutPanel(session: Session): HTMLElement {
  const { scene, renderer, state, sceneModel } = session;
  const steps = renderer && contourIntervals(renderer.world.scale, state.interval);
  const drawing = [
    steps &&
      (state.log
        ? `Contour lines: ${steps.perDecade} per factor of ten, every fifth bold.`
        : `Contour lines every ${formatNumber(steps.linear)}, every fifth bold.`),
    "Between computed cells the sheet is a monotone cubic: it passes through every computed value and adds no minimum of its own. " +
      "The mesh shows the computed cells.",
    ...(hasStandardErrors(session)
      ? ["With N, a dashed outline (hatched on the map) holds the cells that are within two standard errors of the lowest value."]
      : []),
    "Holes are values that are not finite. Hatched places are not computed.",
  ];
  return h(
    "div",
    { class: "panel wide", role: "dialog", "aria-label": "About this landscape" },
    h("h2", {}, "About this landscape"),
    list(notes(session)),
    h("h2", {}, "The surfaces"),
    table(
      session.sceneModel.surfaces.map((s) => {
        const range = jointRange([s], state.quantity);
        return [
          s.label,
          `${s.na} × ${s.nb} cells, ${formatPercent(s.doneFraction)} computed; ` +
            `${state.quantity} ${formatNumber(range.low)} to ${formatNumber(range.high)}`,
        ];
      }),
    ),
    ...(scene.paths.length
      ? [
          h("h2", {}, "The paths"),
          table(sceneModel.paths(state).map(({ path }) => [path.label || path.name, describeResidual(path.residual?.data)])),
          h("p", {}, DASHED_LINES_NOTE),
        ]
      : []),
    h("h2", {}, "The drawing"),
    list([...drawing.filter((line): line is string => !!line), ...comparisonWarnings(session)]),
    h("h2", {}, "In words"),
    h("p", {}, describeScene(session)),
  );
}

/** Describe the shown surfaces in a sentence or two. */
export function describeScene(session: Session): string {
  const { state, sceneModel } = session;
  return sceneModel.visible(state).map((surface) => {
    const low = surface.minimum(state.quantity, Math.round(state.frame));
    if (!low) return `${surface.label}: no finite value has been computed.`;
    const range = jointRange([surface], state.quantity);
    const origin = surface.data.origin;
    const model = surface.data.origin_label ?? "the model itself";
    const originText = origin
      ? ` ${model[0].toUpperCase()}${model.slice(1)} stands at (${origin.map((v) => formatNumber(v)).join(", ")}).`
      : "";
    const position = `(${formatNumber(low.alpha)}, ${formatNumber(low.beta)})`;
    const extremes = `smallest ${state.quantity} ${formatNumber(low.value, 4)} at ${position}, largest ${formatNumber(range.high, 4)}`;
    return `${surface.label}: ${extremes}.${originText}`;
  }).join(" ");
}

function describeResidual(data: ArrayLike<number> | undefined): string {
  if (!data || !data.length) return "distance from the plane not recorded";
  let most = 0;
  for (let k = 0; k < data.length; k++) if (data[k] > most) most = data[k];
  return most > 1e-9 ? `projected onto the plane; up to ${formatNumber(most)} away from it` : "lies on the plane";
}

function list(lines: string[]): HTMLElement {
  return lines.length
    ? h("ul", {}, ...lines.map((line) => h("li", {}, line)))
    : h("p", {}, "Nothing was noted about how this was computed.");
}

function table(rows: [string, string][] | string[][]): HTMLElement {
  return h("table", {}, ...rows.map(([a, b]) => h("tr", {}, h("td", {}, a), h("td", {}, b))));
}
