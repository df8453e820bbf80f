// A scene made ready to be looked at: its surfaces, the range they share, what the timeline says. No drawing here.
import { difference } from "./data/difference";
import { Surface } from "./data/surface";
import type { ColorData, PathData, SceneData } from "./data/types";
import { makeScale, type Scale } from "./math/scale";
import type { ViewState } from "./state";

/** Colors that stay apart for color-blind readers and on any of the colormaps, with a white halo. */
export const PALETTE = ["#e3242b", "#1b6cff", "#12141c", "#d6249f", "#ff8a00", "#00857a", "#7a4dff", "#8a5a00"];
export const TINTS = ["#5b8def", "#22b3ae", "#9b6bdf", "#d65fa5", "#8f9d20", "#4e7fb8", "#d0563f", "#5f6b7a"];

export class Landscape {
  readonly surfaces: Surface[];
  readonly lines: Surface[];
  readonly colors: Record<string, ColorData>;
  private differences = new Map<string, Surface>();

  constructor(readonly scene: SceneData) {
    const all = scene.surfaces.map((data) => new Surface(data));
    this.surfaces = all.filter((surface) => !surface.isLine);
    this.lines = all.filter((surface) => surface.isLine);
    const own = scene.panes.filter((pane) => pane.color).map((pane) => pane.color!);
    this.colors = Object.fromEntries([...own, ...scene.colors].reverse().map((color) => [color.quantity, color]));
  }

  surface(name: string): Surface | undefined { return this.surfaces.find((s) => s.name === name); }

  get quantities(): string[] { return [...new Set(this.surfaces.flatMap((s) => s.quantities))]; }

  /** Visible surfaces, the active one first. */
  visible(state: ViewState): Surface[] {
    const shown = this.surfaces.filter((s) => !state.hidden.includes(s.name) && s.quantities.includes(state.quantity));
    const active = shown.find((s) => s.name === state.active) ?? shown[0];
    return active ? [active, ...shown.filter((s) => s !== active)] : [];
  }

  /** What is drawn: the visible surfaces, or in difference mode the one that is their difference. */
  drawn(state: ViewState): Surface[] {
    const visible = this.visible(state);
    if (state.mode === "side") return this.surfaces.filter((s) => visible.includes(s));
    if (state.mode !== "difference" || visible.length < 2) return visible;
    const key = `${visible[0].name}\n${visible[1].name}`;
    if (!this.differences.has(key)) this.differences.set(key, difference(visible[0], visible[1]));
    return [this.differences.get(key)!];
  }

  forgetDifferences(): void { this.differences.clear(); }

  isDifference(state: ViewState): boolean { return state.mode === "difference" && this.visible(state).length > 1; }

  /** The height scale of a set of surfaces; a difference is centered on zero. */
  scale(surfaces: Surface[], state: ViewState): Scale {
    const range = joint(surfaces, state.quantity);
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
    const range = joint(surfaces, quantity);
    if (/ratio|difference/.test(quantity) && range.low < 0) {
      const reach = Math.max(-range.low, range.high);
      return makeScale(-reach, reach, range.positive);
    }
    return makeScale(range.low, range.high, range.positive);
  }

  /** Share of computed finite cells whose value lies above `clip`, of one frame. */
  clipped(surface: Surface, state: ViewState): number {
    if (state.clip === null) return 0;
    const values = surface.raw(state.quantity, Math.round(state.frame));
    let [above, all] = [0, 0];
    for (let k = 0; k < values.length; k++) {
      if (Number.isNaN(values[k]) || (surface.known && !surface.known[k])) continue;
      all++;
      if (values[k] > state.clip) above++;
    }
    return all ? above / all : 0;
  }
}

export function joint(surfaces: Surface[], quantity: string): { low: number; high: number; positive: number } {
  const found = { low: Infinity, high: -Infinity, positive: Infinity };
  for (const surface of surfaces) {
    const range = surface.range(quantity);
    found.low = Math.min(found.low, range.low);
    found.high = Math.max(found.high, range.high);
    found.positive = Math.min(found.positive, range.positive);
  }
  return found.low <= found.high ? found : { low: 0, high: 1, positive: 1 };
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
