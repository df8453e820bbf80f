// Scene model: surfaces, lines, planes, paths and value ranges of one scene, without any drawing.
import { difference } from "./data/difference";
import { Surface } from "./data/surface";
import type { ColorData, PathData, SceneData } from "./data/types";
import { makeScale, type Scale } from "./math/scale";
import type { ViewState } from "./state";

/** Colors that stay apart for color-blind readers and on any of the colormaps, with a white halo. */
export const PATH_COLORS = ["#e3242b", "#1b6cff", "#12141c", "#d6249f", "#ff8a00", "#00857a", "#7a4dff", "#8a5a00"];
export const SURFACE_TINTS = ["#5b8def", "#22b3ae", "#9b6bdf", "#d65fa5", "#8f9d20", "#4e7fb8", "#d0563f", "#5f6b7a"];

export class SceneModel {
  readonly surfaces: Surface[];
  readonly lines: Surface[];
  readonly colors: Record<string, ColorData>;
  private differences = new Map<string, Surface>();
  private readonly planes: Record<string, string>;

  constructor(readonly scene: SceneData) {
    const all = scene.surfaces.map((data) => new Surface(data));
    this.surfaces = all.filter((surface) => !surface.isLine);
    this.lines = all.filter((surface) => surface.isLine);
    this.planes = Object.fromEntries(
      Object.entries((scene.meta.planes ?? {}) as Record<string, object>).map(([name, plane]) => [
        name,
        Object.keys(plane).length ? JSON.stringify(plane) : `only ${name}`,
      ]),
    );
    const paneColors = scene.panes.filter((pane) => pane.color).map((pane) => pane.color!);
    this.colors = Object.fromEntries([...paneColors, ...scene.colors].reverse().map((color) => [color.quantity, color]));
  }

  surface(name: string): Surface | undefined { return this.surfaces.find((s) => s.name === name); }

  /** Whether two surfaces lie on one plane; a scene without plane descriptions has only one. */
  samePlane(first: string, second: string): boolean { return (this.planes[first] ?? "") === (this.planes[second] ?? ""); }

  /** Names of surfaces in no pane, which are hidden at first. */
  get unlisted(): string[] {
    const listed = new Set(this.scene.panes.flatMap((pane) => pane.surfaces));
    return listed.size ? this.surfaces.map((s) => s.name).filter((name) => !listed.has(name)) : [];
  }

  /** Whether a path is drawn on a surface: where it lies on the same plane, or where a pane draws it. */
  showsPath(surface: Surface, path: PathData): boolean {
    if (path.surface) return path.surface === surface.name || this.samePlane(path.surface, surface.name);
    const owners = this.scene.panes.filter((pane) => pane.paths.includes(path.name)).flatMap((pane) => pane.surfaces);
    return !owners.length || owners.includes(surface.name) || !this.surfaces.some((s) => owners.includes(s.name));
  }

  /** Paths on any of the surfaces that are shown, with colors by their position in the scene. */
  paths(state: ViewState): { path: PathData; color: string }[] {
    const shown = this.visible(state);
    const all = this.scene.paths.map((path, k) => ({ path, color: path.color ?? PATH_COLORS[k % PATH_COLORS.length] }));
    return shown.length ? all.filter(({ path }) => shown.some((surface) => this.showsPath(surface, path))) : all;
  }

  get quantities(): string[] { return [...new Set(this.surfaces.flatMap((s) => s.quantities))]; }

  /** Visible surfaces, the active one first. */
  visible(state: ViewState): Surface[] {
    const shown = this.surfaces.filter((s) => !state.hidden.includes(s.name) && s.quantities.includes(state.quantity));
    const active = shown.find((s) => s.name === state.active) ?? shown[0];
    return active ? [active, ...shown.filter((s) => s !== active)] : [];
  }

  /** Surfaces that set the axis limits: those on the planes that are shown. */
  windowSurfaces(state: ViewState): Surface[] {
    const shown = this.visible(state);
    const near = this.surfaces.filter((s) => shown.some((other) => this.samePlane(s.name, other.name)));
    return near.length ? near : this.surfaces;
  }

  /** What is drawn: the visible surfaces, or in difference mode the one that is their difference. */
  drawn(state: ViewState): Surface[] {
    const visible = this.visible(state);
    if (state.mode === "side") return this.surfaces.filter((s) => visible.includes(s));
    if (state.mode !== "difference" || visible.length < 2) return visible;
    const key = `${visible[0].name}\n${visible[1].name}`;
    if (!this.differences.has(key)) {
      const made = difference(visible[0], visible[1]);
      if (this.planes[visible[0].name]) this.planes[made.name] = this.planes[visible[0].name];
      this.differences.set(key, made);
    }
    return [this.differences.get(key)!];
  }

  clearDifferences(): void { this.differences.clear(); }

  isDifference(state: ViewState): boolean { return state.mode === "difference" && this.visible(state).length > 1; }

  /** The height scale of a set of surfaces; a difference is centered on zero. */
  scale(surfaces: Surface[], state: ViewState): Scale {
    const range = jointRange(surfaces, state.quantity);
    if (this.isDifference(state)) {
      const reach = Math.min(Math.max(Math.abs(range.low), Math.abs(range.high)) || 1, state.clip ?? Infinity);
      return makeScale(-reach, reach, range.positive);
    }
    const color = this.colors[state.quantity];
    const low = color?.low ?? range.low;
    const high = Math.min(color?.high ?? range.high, state.clip ?? Infinity);
    return makeScale(low, high > low ? high : range.high, Math.max(range.positive, 0));
  }

  /** Scale of the coloring quantity where it is another one than the height. */
  colorScale(surfaces: Surface[], quantity: string): Scale {
    const range = jointRange(surfaces, quantity);
    if (/ratio|difference/.test(quantity) && range.low < 0) {
      const reach = Math.max(-range.low, range.high);
      return makeScale(-reach, reach, range.positive);
    }
    return makeScale(range.low, range.high, range.positive);
  }

  /** Share of computed finite cells whose value lies above `clip`, of one frame. */
  clippedFraction(surface: Surface, state: ViewState): number {
    if (state.clip === null) return 0;
    const values = surface.frameValues(state.quantity, Math.round(state.frame));
    let [above, all] = [0, 0];
    for (let k = 0; k < values.length; k++) {
      if (Number.isNaN(values[k]) || (surface.doneMask && !surface.doneMask[k])) continue;
      all++;
      if (values[k] > state.clip) above++;
    }
    return all ? above / all : 0;
  }
}

export function jointRange(surfaces: Surface[], quantity: string): { low: number; high: number; positive: number } {
  const joint = { low: Infinity, high: -Infinity, positive: Infinity };
  for (const surface of surfaces) {
    const range = surface.range(quantity);
    joint.low = Math.min(joint.low, range.low);
    joint.high = Math.max(joint.high, range.high);
    joint.positive = Math.min(joint.positive, range.positive);
  }
  return joint.low <= joint.high ? joint : { low: 0, high: 1, positive: 1 };
}

/** A path's fractional index at training step `step`. */
export function indexAtStep(path: PathData, step: number): number {
  const steps = path.step.data;
  const last = steps.length - 1;
  if (step <= steps[0]) return 0;
  if (step >= steps[last]) return last;
  let [low, high] = [0, last];
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (steps[middle] <= step) low = middle;
    else high = middle;
  }
  return low + (step - steps[low]) / (steps[high] - steps[low]);
}
