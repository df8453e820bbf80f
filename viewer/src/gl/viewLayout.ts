// Layout of the views: rectangles of one or several 3-D views and of the contour pane.
import type { ViewState } from "../state";

export interface Rect { x: number; y: number; width: number; height: number }
export interface View {
  kind: "surface" | "map";
  rect: Rect;
  /** Names of the surfaces it shows. */
  surfaces: string[];
  /** Part of the rectangle that is drawn (swipe). */
  clipRect?: Rect;
  title?: string;
}

/** How far the inset and the split between the panes can be dragged. */
export const INSET_LIMITS: [number, number] = [0.14, 0.7];
export const SPLIT_LIMITS: [number, number] = [0.2, 0.8];

const clamp = (value: number, [low, high]: [number, number]) => Math.max(low, Math.min(high, value));

/**
 * Lay out the picture of `width` x `height` pixels; `names` are the visible surfaces, the active one first;
 * `headingBottom` is where the heading ends.
 */
export function layoutViews(state: ViewState, names: string[], width: number, height: number, aspect: number, headingBottom = 58): View[] {
  const phone = width < 620;
  const picture = { x: 0, y: 0, width, height };
  const sideBySide = state.map === "side";
  const several = state.mode === "side" && names.length > 1;
  // Beside one another the views leave room for the color bar.
  const below = Math.min(Math.max(headingBottom - 14, 44), height / 4);
  const lower = phone ? Math.min(Math.max(headingBottom - 40, 0), height / 5) : 0;
  // So does a single view where the width, not the height, decides how large it is drawn.
  const margin = phone ? 0 : Math.max(0, Math.min(72, 1.32 * height - width));
  const area =
    several && !phone
      ? { x: 0, y: below, width: width - 96, height: height - below }
      : { ...picture, y: lower, width: width - margin, height: height - lower };
  const inner = phone || height < 260 ? width : width - 96;
  if (state.map === "full")
    return [
      {
        kind: "map",
        rect: centeredRect(insetRect({ ...picture, width: inner }, 56, Math.max(76, headingBottom + 24)), aspect),
        surfaces: names.slice(0, 1),
      },
    ];
  const split = clamp(state.split, SPLIT_LIMITS);
  const surfaceArea = !sideBySide
    ? area
    : phone
      ? { ...picture, height: height / 2 }
      : {
          x: 0,
          y: Math.min(headingBottom - 30, height / 4),
          width: inner * split,
          height: height - Math.min(headingBottom - 30, height / 4),
        };
  const views = surfaceViews(state, names, surfaceArea);
  if (sideBySide) {
    const mapArea = phone
      ? { x: 0, y: height / 2, width, height: height / 2 }
      : { x: inner * split, y: 0, width: inner * (1 - split), height };
    views.push({
      kind: "map",
      rect: centeredRect(insetRect(mapArea, phone ? 26 : 52, phone ? 60 : Math.max(60, headingBottom + 24)), aspect),
      surfaces: names.slice(0, 1),
    });
  } else if (state.map === "inset" && !several && !(phone && height < headingBottom + 360)) {
    const fraction = clamp(state.insetSize, INSET_LIMITS);
    const size = Math.max(96, Math.min(1000 * fraction, Math.min(width, height) * fraction));
    const top = Math.max(phone ? 122 : 84, headingBottom + 26);
    const rect = centeredRect({ x: 20, y: top, width: size, height: size }, aspect);
    // The 3-D view moves right, and down where that is not enough, so that the inset does not cover its corner.
    const narrow = clamp((1.7 - width / height) / 0.5, [0, 1]);
    const [aside, down] = phone ? [0, size] : [size * (0.22 + 0.18 * narrow), size * 0.5 * narrow];
    for (const view of views)
      if (!view.clipRect)
        view.rect = { x: view.rect.x + aside, y: view.rect.y + down, width: view.rect.width - aside, height: view.rect.height - down };
    views.push({ kind: "map", rect: { ...rect, x: 20, y: top }, surfaces: names.slice(0, 1) });
  }
  return views;
}

function surfaceViews(state: ViewState, names: string[], area: Rect): View[] {
  if (state.mode === "side" && names.length > 1) {
    return gridCells(area, names.length).map((rect, k) => ({ kind: "surface" as const, rect, surfaces: [names[k]], title: names[k] }));
  }
  if (state.mode === "swipe" && names.length > 1) {
    const at = area.width * state.swipe;
    return [
      { kind: "surface", rect: area, surfaces: [names[0]], clipRect: { ...area, width: at } },
      { kind: "surface", rect: area, surfaces: [names[1]], clipRect: { ...area, x: area.x + at, width: area.width - at } },
    ];
  }
  return [{ kind: "surface", rect: area, surfaces: names }];
}

/** Equal cells, as square as the stage allows. */
export function gridCells(area: Rect, count: number): Rect[] {
  let best = { columns: 1, size: 0 };
  for (let columns = 1; columns <= count; columns++) {
    const size = Math.min(area.width / columns, (area.height / Math.ceil(count / columns)) * 1.25);
    if (size > best.size) best = { columns, size };
  }
  const rows = Math.ceil(count / best.columns);
  const [w, h] = [area.width / best.columns, area.height / rows];
  return Array.from({ length: count }, (_, k) => ({
    x: area.x + (k % best.columns) * w,
    y: area.y + Math.floor(k / best.columns) * h,
    width: w,
    height: h,
  }));
}

/** The largest rectangle of the given width / height ratio in the middle of `room`. */
function centeredRect(area: Rect, aspect: number): Rect {
  const width = Math.min(area.width, area.height * aspect);
  const height = width / aspect;
  return { x: area.x + (area.width - width) / 2, y: area.y + (area.height - height) / 2, width, height };
}

function insetRect(rect: Rect, margin: number, top = margin): Rect {
  return { x: rect.x + margin, y: rect.y + top, width: rect.width - 2 * margin, height: rect.height - margin - top };
}

export function contains(rect: Rect, x: number, y: number): boolean {
  return x >= rect.x && y >= rect.y && x < rect.x + rect.width && y < rect.y + rect.height;
}
