// Painter of the 2-D overlay: axes, view titles, path points, minimum, probes, color bar.
import type { PathData, SurfaceData } from "../data/types";
import { FONT } from "../dom/theme";
import { project } from "../gl/projection";
import type { View } from "../gl/viewLayout";
import { formatAll, formatPercent } from "../math/ticks";
import { indexAtStep } from "../sceneModel";
import type { Session } from "../session";
import { drawMapAxes, drawSurfaceAxes } from "./axes";
import { colorBarTicks, drawColorBar, type ColorBar } from "./colorbar";
import { drawDot, drawPlus, drawStar, drawText, isHidden, type OverlayContext } from "./marks";
import { drawOutlines } from "./outlines";

export function paintOverlay(session: Session, context: CanvasRenderingContext2D, marks = true): void {
  const { renderer, state, theme, drawn } = session;
  if (!renderer || !drawn.length) return;
  const overlay: OverlayContext = { context, theme, state, world: renderer.world };
  const views = session.views();
  const rect = session.colorBarRect();
  const bar = rect && session.colorBar(rect);
  for (const view of views) {
    if (view.kind === "map") paintMapView(session, overlay, view);
    else paintSurfaceView(session, overlay, view);
    if (marks) paintMarkers(session, overlay, view);
  }
  if (state.mode === "swipe" && views[1]?.clipRect) drawDivider(overlay, views[1].clipRect.x, session.height);
  if (bar) drawColorBar(overlay, bar, hoveredColorValue(session));
  if (rect) drawClipNote(session, overlay, rect);
}

/** Heights (world z) at which the walls carry a line, with their values as text. */
export function wallLevels(session: Session): { z: number; label: string }[] {
  const { renderer, drawn } = session;
  if (!renderer || !drawn.length) return [];
  const bar: ColorBar = {
    rect: { x: 0, y: 0, width: 1, height: 1 },
    scale: renderer.world.scale,
    morph: session.morph,
    range: [0, 1],
    rgb: session.rgb,
    label: "",
    note: "",
  };
  const values = colorBarTicks(bar);
  const labels = formatAll(values);
  return values.map((value, k) => ({ z: renderer.world.z(value), label: labels[k] }));
}

function paintSurfaceView(session: Session, overlay: OverlayContext, view: View): void {
  const surface = session.drawn.find((s) => s.name === view.surfaces[0])!;
  if (!view.clipRect || view.clipRect.x === view.rect.x) {
    drawSurfaceAxes(
      overlay,
      view,
      { alpha: surface.data.alpha_label || "α", beta: surface.data.beta_label || "β" },
      session.state.shared ? wallLevels(session) : [],
    );
  }
  if (!view.title) return;
  const { rect } = view;
  overlay.context.font = `600 14px ${FONT}`;
  drawText(
    overlay,
    truncateText(overlay.context, surface.label, rect.width - 16),
    rect.x + rect.width / 2,
    Math.max(rect.y + Math.max(22, rect.height * 0.05) + (rect.y < 40 ? 52 : 0), rect.y < 40 ? session.headingBottom + 16 : 0),
    { size: 14, weight: 600, color: overlay.theme.text },
  );
}

function paintMapView(session: Session, overlay: OverlayContext, view: View): void {
  const surface = session.drawn.find((s) => s.name === view.surfaces[0])!;
  const large = session.state.map !== "inset";
  drawMapAxes(overlay, view, { alpha: surface.data.alpha_label || "α", beta: surface.data.beta_label || "β" }, large);
  if (!large) drawResizeCorner(overlay, view);
  if (!large && session.drawn.length < 2) return;
  overlay.context.font = `600 ${large ? 13 : 11}px ${FONT}`;
  const text = truncateText(overlay.context, surface.label, view.rect.width + (large ? 0 : 24));
  if (large)
    drawText(overlay, text, view.rect.x + view.rect.width / 2, view.rect.y - 13, { size: 13, weight: 600, color: overlay.theme.text });
  else drawText(overlay, text, view.rect.x, view.rect.y - 13, { size: 11, weight: 600, color: overlay.theme.text, align: "left" });
}

/** The corner by which the inset is made larger. */
function drawResizeCorner({ context, theme }: OverlayContext, { rect }: View): void {
  const [x, y] = [rect.x + rect.width, rect.y + rect.height];
  for (const [width, color] of [[3, theme.halo], [1.3, theme.text]] as const) {
    context.beginPath();
    for (const reach of [5, 10]) {
      context.moveTo(x - reach, y - 2);
      context.lineTo(x - 2, y - reach);
    }
    context.lineWidth = width;
    context.strokeStyle = color;
    context.stroke();
  }
}

/** Words that fit into `width` pixels, in the font that is set. */
function truncateText(context: CanvasRenderingContext2D, text: string, width: number): string {
  if (context.measureText(text).width <= width) return text;
  let length = text.length;
  while (length > 1 && context.measureText(`${text.slice(0, length)}…`).width > width) length--;
  return `${text.slice(0, length).trimEnd()}…`;
}

function paintMarkers(session: Session, overlay: OverlayContext, view: View): void {
  const { state, renderer, sceneModel } = session;
  const surface = session.drawn.find((s) => s.name === view.surfaces[0])!;
  const surfaceMesh = renderer!.meshOf(surface);
  const { world } = renderer!;
  const { rect } = view;
  overlay.context.save();
  overlay.context.beginPath();
  const clip = view.clipRect ?? rect;
  overlay.context.rect(clip.x - 8, clip.y - 8, clip.width + 16, clip.height + 16);
  overlay.context.clip();
  const toPixels = (x: number, y: number, z: number) => project(view, state, world, x, y, z);
  const small = view.kind === "map" && state.map === "inset";
  const low = sceneModel.isDifference(state) ? null : surface.minimum(state.quantity, Math.round(state.frame));
  if (low && !/accuracy/.test(state.quantity) && surface.data.fields[state.quantity]?.minimum_located !== false) {
    const at: [number, number, number] = [world.x(low.alpha), world.y(low.beta), world.z(low.value) + 0.01];
    drawStar(
      overlay,
      ...xy(toPixels(...at)),
      small ? 6 : 9,
      "#ffd84d",
      view.kind === "surface" && isHidden(surfaceMesh, world, state, at) ? 0.35 : 1,
    );
  }
  for (const { label, place } of modelsOf(surface.data)) {
    const [x, y] = [world.x(place[0]), world.y(place[1])];
    const value = surfaceMesh.valueAt(x, y);
    if (Number.isNaN(value) || Math.abs(x) > world.halfX || Math.abs(y) > world.halfY) continue;
    const at: [number, number, number] = [x, y, world.z(value) + 0.01];
    const [px, py] = toPixels(...at);
    const opacity = view.kind === "surface" && isHidden(surfaceMesh, world, state, at) ? 0.35 : 1;
    drawPlus(overlay, px, py, small ? 4.5 : 7, opacity);
    if (!small && label) drawText(overlay, label, px + 11, py - 9, { size: 12, weight: 600, align: "left", color: overlay.theme.text });
  }
  drawOutlines(session, overlay, view, surfaceMesh);
  drawArrows(session, overlay, view);
  if (session.selection?.from && session.selection.to) drawSelection(session, overlay, view, session.selection.from, session.selection.to);
  for (const { path, color } of sceneModel.paths(state)) {
    if (state.hiddenPaths.includes(path.name) || !sceneModel.showsPath(surface, path)) continue;
    drawPathPoint(session, overlay, view, path, 0, small ? 2.5 : 4, color);
    for (const k of path.marks) if (path.step.data[k] <= session.step) drawDiamond(session, overlay, view, path, k, small ? 3.5 : 6, color);
    const head = Number.isFinite(session.step) ? indexAtStep(path, session.step) : path.step.data.length - 1;
    drawPathPoint(session, overlay, view, path, head, small ? 4 : 6.5, color);
  }
  state.probes.forEach(([alpha, beta], k) => {
    const [x, y] = [world.x(alpha), world.y(beta)];
    const value = surfaceMesh.valueAt(x, y);
    const [px, py] = toPixels(x, y, Number.isNaN(value) ? 0 : world.z(value));
    drawDot(overlay, px, py, 5, "#12141c");
    drawText(overlay, "AB"[k] ?? "", px, py - 14, { size: 12, weight: 700, color: overlay.theme.text });
  });
  if (session.hovered && view.kind === "surface") {
    const { x, y } = session.hovered;
    const value = surfaceMesh.valueAt(x, y);
    if (!Number.isNaN(value) && world.normalize(value) <= 1.001)
      drawDot(overlay, ...xy(toPixels(x, y, world.z(value))), 4, overlay.theme.text);
  }
  overlay.context.restore();
}

/** The models on a plane with their names; a single one at the origin needs none. */
export function modelsOf(surface: SurfaceData): { label: string; place: number[] }[] {
  const models = (surface.models ?? []).filter((model) => model.place.length === 2);
  if (models.length > 1) return models;
  return surface.origin && surface.origin.length === 2 ? [{ label: "", place: surface.origin }] : [];
}

/** A point that the scene marks, such as a drop of the learning rate. */
function drawDiamond(
  session: Session,
  overlay: OverlayContext,
  view: View,
  path: PathData,
  k: number,
  radius: number,
  color: string,
): void {
  const { world } = overlay;
  const [x, y] = [world.x(path.alpha.data[k]), world.y(path.beta.data[k])];
  const value = session.renderer!.meshOf(session.drawn.find((s) => s.name === view.surfaces[0])!).valueAt(x, y);
  if (Number.isNaN(x) || (view.kind === "surface" && Number.isNaN(value))) return;
  const [px, py] = project(view, session.state, world, x, y, view.kind === "map" ? 0 : world.z(value) + 0.008);
  const { context } = overlay;
  context.beginPath();
  for (const [dx, dy] of [
    [0, -1.3],
    [1, 0],
    [0, 1.3],
    [-1, 0],
  ])
    context.lineTo(px + dx * radius, py + dy * radius);
  context.closePath();
  context.fillStyle = color;
  context.fill();
  context.lineWidth = 1.6;
  context.strokeStyle = "#fff";
  context.stroke();
}

/** A point of a path at a fractional index; faint behind a ridge, hollow where it is off the plane. */
function drawPathPoint(
  session: Session,
  overlay: OverlayContext,
  view: View,
  path: { alpha: { data: ArrayLike<number> }; beta: { data: ArrayLike<number> } },
  index: number,
  radius: number,
  color: string,
): void {
  const { renderer, state } = session;
  const { world } = renderer!;
  const mix = (v: ArrayLike<number>) => {
    const k = Math.floor(index);
    return v[k] + ((v[Math.min(k + 1, v.length - 1)] ?? v[k]) - v[k]) * (index - k);
  };
  const [x, y] = [world.x(mix(path.alpha.data)), world.y(mix(path.beta.data))];
  const surfaceMesh = renderer!.meshOf(session.drawn.find((s) => s.name === view.surfaces[0])!);
  const value = surfaceMesh.valueAt(x, y);
  if (Number.isNaN(x) || Number.isNaN(y) || (view.kind === "surface" && Number.isNaN(value))) return;
  const at: [number, number, number] = [x, y, (view.kind === "map" ? 0 : world.z(value)) + 0.008];
  const [px, py] = project(view, state, world, ...at);
  drawDot(overlay, px, py, radius, color, view.kind === "surface" && isHidden(surfaceMesh, world, state, at) ? 0.4 : 1);
}

/** The rectangle that is being drawn, on the map or draped on the surface. */
function drawSelection(
  session: Session,
  overlay: OverlayContext,
  view: View,
  [a0, b0]: [number, number],
  [a1, b1]: [number, number],
): void {
  const { world, context } = overlay;
  const surfaceMesh = session.renderer!.meshOf(session.drawn.find((s) => s.name === view.surfaces[0])!);
  const corners = [
    [a0, b0],
    [a1, b0],
    [a1, b1],
    [a0, b1],
    [a0, b0],
  ];
  context.beginPath();
  for (let side = 0; side < 4; side++)
    for (let k = 0; k < 16; k++) {
      const [x, y] = [0, 1]
        .map((axis) => corners[side][axis] + ((corners[side + 1][axis] - corners[side][axis]) * k) / 16)
        .map((v, axis) => (axis ? world.y(v) : world.x(v)));
      const value = surfaceMesh.valueAt(x, y);
      context.lineTo(...xy(project(view, session.state, world, x, y, Number.isNaN(value) ? 0 : world.z(value))));
    }
  context.closePath();
  context.fillStyle = "rgba(37,99,235,.22)";
  context.fill();
  context.lineWidth = 2;
  context.strokeStyle = overlay.theme.name === "dark" ? "#9dbcff" : "#2563eb";
  context.stroke();
}

function drawArrows(session: Session, overlay: OverlayContext, view: View): void {
  const { renderer, state, scene } = session;
  const { world } = renderer!;
  const surfaceMesh = renderer!.meshOf(session.drawn.find((s) => s.name === view.surfaces[0])!);
  const frame = Math.round(state.frame);
  const { context } = overlay;
  for (const arrow of scene.arrows) {
    if (arrow.frames && !arrow.frames.includes(frame)) continue;
    const ends = [arrow.start, arrow.end].map(([a, b]) => {
      const [x, y] = [world.x(a), world.y(b)];
      const value = surfaceMesh.valueAt(x, y);
      return project(view, state, world, x, y, Number.isNaN(value) ? 0 : world.z(value) + 0.01);
    });
    const [[x0, y0], [x1, y1]] = ends;
    const angle = Math.atan2(y1 - y0, x1 - x0);
    for (const [width, color] of [[5, "rgba(255,255,255,.9)"], [2.4, arrow.color ?? "#12141c"]] as const) {
      context.beginPath();
      context.moveTo(x0, y0);
      context.lineTo(x1, y1);
      for (const side of [-0.45, 0.45]) {
        context.moveTo(x1, y1);
        context.lineTo(x1 - 10 * Math.cos(angle + side), y1 - 10 * Math.sin(angle + side));
      }
      context.lineCap = "round";
      context.lineWidth = width;
      context.strokeStyle = color;
      context.stroke();
    }
    if (arrow.label)
      drawText(
        overlay,
        arrow.label,
        x1 + 18 * Math.cos(angle) + (Math.cos(angle) * overlay.context.measureText(arrow.label).width) / 2,
        y1 + 16 * Math.sin(angle),
        { size: 11, weight: 600, color: overlay.theme.text },
      );
  }
}

function drawDivider(overlay: OverlayContext, x: number, height: number): void {
  const { context } = overlay;
  context.fillStyle = "rgba(255,255,255,.9)";
  context.fillRect(x - 1.5, 0, 3, height);
  context.fillStyle = "rgba(20,26,40,.65)";
  context.fillRect(x - 0.5, 0, 1, height);
  drawDot(overlay, x, height / 2, 9, "#3a4560");
  drawText(overlay, "◂▸", x, height / 2, { size: 9, color: "#fff", halo: false });
}

function drawClipNote(session: Session, overlay: OverlayContext, rect: { x: number; y: number; width: number; height: number }): void {
  const lines: string[] = [];
  for (const surface of session.drawn) {
    const fraction = session.sceneModel.clippedFraction(surface, session.state);
    if (fraction > 0) lines.push(`${formatPercent(fraction)} clipped${session.drawn.length > 1 ? ` · ${surface.label}` : ""}`);
  }
  lines.forEach((text, k) =>
    drawText(overlay, text, rect.x + rect.width + 44, rect.y + rect.height + 24 + 16 * k, { size: 11, align: "right" }),
  );
}

function hoveredColorValue(session: Session): number | null {
  const { hovered, state } = session;
  return hovered && (!state.colorBy || state.colorBy === state.quantity) ? hovered.value : null;
}

function xy([x, y]: number[]): [number, number] { return [x, y]; }
