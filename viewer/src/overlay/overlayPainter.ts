// Paints everything that is not WebGL onto the overlay: axes, titles of views, heads of paths, minimum, probes, color bar.
import type { PathData } from "../data/types";
import { FONT } from "../dom/theme";
import { project } from "../gl/projection";
import type { View } from "../gl/viewLayout";
import { formatAll, percent } from "../math/ticks";
import { indexAtStep } from "../sceneModel";
import type { Session } from "../session";
import { mapAxes, spaceAxes } from "./axes";
import { barTicks, drawBar, type Bar } from "./colorbar";
import { dot, hidden, star, text, type Pen } from "./marks";
import { outlines } from "./outlines";

export function paint(session: Session, context: CanvasRenderingContext2D, marks = true): void {
  const { stage, state, theme, drawn } = session;
  if (!stage || !drawn.length) return;
  const pen: Pen = { context, theme, state, world: stage.world };
  const views = session.views();
  const rect = session.barRect();
  const bar = rect && session.bar(rect);
  for (const view of views) {
    if (view.kind === "map") frameOfMap(session, pen, view);
    else space(session, pen, view);
    if (marks) landmarks(session, pen, view);
  }
  if (state.mode === "swipe" && views[1]?.cut) divider(pen, views[1].cut.x, session.height);
  if (bar) drawBar(pen, bar, hoveredOnBar(session));
  if (rect) underBar(session, pen, rect);
}

/** Heights (world z) at which the walls carry a line, with their values in words. */
export function wallHeights(session: Session): { z: number; words: string }[] {
  const { stage, drawn } = session;
  if (!stage || !drawn.length) return [];
  const bar: Bar = { rect: { x: 0, y: 0, width: 1, height: 1 }, scale: stage.world.scale, morph: session.morph, range: [0, 1], rgb: session.rgb, label: "", note: "" };
  const values = barTicks(bar);
  const words = formatAll(values);
  return values.map((value, k) => ({ z: stage.world.z(value), words: words[k] }));
}

function space(session: Session, pen: Pen, view: View): void {
  const surface = session.drawn.find((s) => s.name === view.surfaces[0])!;
  if (!view.cut || view.cut.x === view.rect.x) {
    spaceAxes(pen, view, { alpha: surface.data.alpha_label || "α", beta: surface.data.beta_label || "β" }, session.state.shared ? wallHeights(session) : []);
  }
  if (!view.title) return;
  const { rect } = view;
  pen.context.font = `600 14px ${FONT}`;
  text(pen, shortened(pen.context, surface.label, rect.width - 16), rect.x + rect.width / 2, Math.max(rect.y + Math.max(22, rect.height * 0.05) + (rect.y < 40 ? 52 : 0), rect.y < 40 ? session.head + 16 : 0), { size: 14, weight: 600, color: pen.theme.text });
}

function frameOfMap(session: Session, pen: Pen, view: View): void {
  const surface = session.drawn.find((s) => s.name === view.surfaces[0])!;
  const large = session.state.map !== "inset";
  mapAxes(pen, view, { alpha: surface.data.alpha_label || "α", beta: surface.data.beta_label || "β" }, large);
  if (!large) corner(pen, view);
  if (!large && session.drawn.length < 2) return;
  pen.context.font = `600 ${large ? 13 : 11}px ${FONT}`;
  const words = shortened(pen.context, surface.label, view.rect.width + (large ? 0 : 24));
  if (large) text(pen, words, view.rect.x + view.rect.width / 2, view.rect.y - 13, { size: 13, weight: 600, color: pen.theme.text });
  else text(pen, words, view.rect.x, view.rect.y - 13, { size: 11, weight: 600, color: pen.theme.text, align: "left" });
}

/** The corner by which the inset is made larger. */
function corner({ context, theme }: Pen, { rect }: View): void {
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
function shortened(context: CanvasRenderingContext2D, words: string, width: number): string {
  if (context.measureText(words).width <= width) return words;
  let length = words.length;
  while (length > 1 && context.measureText(`${words.slice(0, length)}…`).width > width) length--;
  return `${words.slice(0, length).trimEnd()}…`;
}

function landmarks(session: Session, pen: Pen, view: View): void {
  const { state, stage, landscape } = session;
  const surface = session.drawn.find((s) => s.name === view.surfaces[0])!;
  const layer = stage!.layer(surface);
  const { world } = stage!;
  const { rect } = view;
  pen.context.save();
  pen.context.beginPath();
  const cut = view.cut ?? rect;
  pen.context.rect(cut.x - 8, cut.y - 8, cut.width + 16, cut.height + 16);
  pen.context.clip();
  const place = (x: number, y: number, z: number) => project(view, state, world, x, y, z);
  const small = view.kind === "map" && state.map === "inset";
  const low = landscape.isDifference(state) ? null : surface.minimum(state.quantity, Math.round(state.frame));
  if (low && !/accuracy/.test(state.quantity)) {
    const at: [number, number, number] = [world.x(low.alpha), world.y(low.beta), world.z(low.value) + 0.01];
    star(pen, ...two(place(...at)), small ? 6 : 9, "#ffd84d", view.kind === "surface" && hidden(layer, world, state, at) ? 0.35 : 1);
  }
  outlines(session, pen, view, layer);
  arrows(session, pen, view);
  if (session.band?.from && session.band.to) rectangle(session, pen, view, session.band.from, session.band.to);
  for (const { path, color } of landscape.paths(state)) {
    if (state.hiddenPaths.includes(path.name) || !landscape.carries(surface, path)) continue;
    mark(session, pen, view, path, 0, small ? 2.5 : 4, color);
    for (const k of path.marks) if (path.step.data[k] <= session.step) diamond(session, pen, view, path, k, small ? 3.5 : 6, color);
    const head = Number.isFinite(session.step) ? indexAtStep(path, session.step) : path.step.data.length - 1;
    mark(session, pen, view, path, head, small ? 4 : 6.5, color);
  }
  state.probes.forEach(([alpha, beta], k) => {
    const [x, y] = [world.x(alpha), world.y(beta)];
    const value = layer.at(x, y);
    const [px, py] = place(x, y, Number.isNaN(value) ? 0 : world.z(value));
    dot(pen, px, py, 5, "#12141c");
    text(pen, "AB"[k] ?? "", px, py - 14, { size: 12, weight: 700, color: pen.theme.text });
  });
  if (session.hovered && view.kind === "surface") {
    const { x, y } = session.hovered;
    const value = layer.at(x, y);
    if (!Number.isNaN(value) && world.share(value) <= 1.001) dot(pen, ...two(place(x, y, world.z(value))), 4, pen.theme.text);
  }
  pen.context.restore();
}

/** A point that the scene marks, such as a drop of the learning rate. */
function diamond(session: Session, pen: Pen, view: View, path: PathData, k: number, radius: number, color: string): void {
  const { world } = pen;
  const [x, y] = [world.x(path.alpha.data[k]), world.y(path.beta.data[k])];
  const value = session.stage!.layer(session.drawn.find((s) => s.name === view.surfaces[0])!).at(x, y);
  if (Number.isNaN(x) || (view.kind === "surface" && Number.isNaN(value))) return;
  const [px, py] = project(view, session.state, world, x, y, view.kind === "map" ? 0 : world.z(value) + 0.008);
  const { context } = pen;
  context.beginPath();
  for (const [dx, dy] of [[0, -1.3], [1, 0], [0, 1.3], [-1, 0]]) context.lineTo(px + dx * radius, py + dy * radius);
  context.closePath();
  context.fillStyle = color;
  context.fill();
  context.lineWidth = 1.6;
  context.strokeStyle = "#fff";
  context.stroke();
}

/** A point of a path at a fractional index; faint behind a ridge, hollow where it is off the plane. */
function mark(session: Session, pen: Pen, view: View, path: { alpha: { data: ArrayLike<number> }; beta: { data: ArrayLike<number> } }, index: number, radius: number, color: string): void {
  const { stage, state } = session;
  const { world } = stage!;
  const mix = (v: ArrayLike<number>) => { const k = Math.floor(index); return v[k] + ((v[Math.min(k + 1, v.length - 1)] ?? v[k]) - v[k]) * (index - k); };
  const [x, y] = [world.x(mix(path.alpha.data)), world.y(mix(path.beta.data))];
  const layer = stage!.layer(session.drawn.find((s) => s.name === view.surfaces[0])!);
  const value = layer.at(x, y);
  if (Number.isNaN(x) || Number.isNaN(y) || (view.kind === "surface" && Number.isNaN(value))) return;
  const at: [number, number, number] = [x, y, (view.kind === "map" ? 0 : world.z(value)) + 0.008];
  const [px, py] = project(view, state, world, ...at);
  dot(pen, px, py, radius, color, view.kind === "surface" && hidden(layer, world, state, at) ? 0.4 : 1);
}

/** The rectangle that is being drawn, on the map or draped on the sheet. */
function rectangle(session: Session, pen: Pen, view: View, [a0, b0]: [number, number], [a1, b1]: [number, number]): void {
  const { world, context } = pen;
  const layer = session.stage!.layer(session.drawn.find((s) => s.name === view.surfaces[0])!);
  const corners = [[a0, b0], [a1, b0], [a1, b1], [a0, b1], [a0, b0]];
  context.beginPath();
  for (let side = 0; side < 4; side++) for (let k = 0; k < 16; k++) {
    const [x, y] = [0, 1].map((axis) => corners[side][axis] + ((corners[side + 1][axis] - corners[side][axis]) * k) / 16).map((v, axis) => (axis ? world.y(v) : world.x(v)));
    const value = layer.at(x, y);
    context.lineTo(...two(project(view, session.state, world, x, y, Number.isNaN(value) ? 0 : world.z(value))));
  }
  context.closePath();
  context.fillStyle = "rgba(37,99,235,.22)";
  context.fill();
  context.lineWidth = 2;
  context.strokeStyle = pen.theme.name === "dark" ? "#9dbcff" : "#2563eb";
  context.stroke();
}

function arrows(session: Session, pen: Pen, view: View): void {
  const { stage, state, scene } = session;
  const { world } = stage!;
  const layer = stage!.layer(session.drawn.find((s) => s.name === view.surfaces[0])!);
  const frame = Math.round(state.frame);
  const { context } = pen;
  for (const arrow of scene.arrows) {
    if (arrow.frames && !arrow.frames.includes(frame)) continue;
    const ends = [arrow.start, arrow.end].map(([a, b]) => {
      const [x, y] = [world.x(a), world.y(b)];
      const value = layer.at(x, y);
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
    if (arrow.label) text(pen, arrow.label, x1 + 18 * Math.cos(angle) + (Math.cos(angle) * pen.context.measureText(arrow.label).width) / 2, y1 + 16 * Math.sin(angle), { size: 11, weight: 600, color: pen.theme.text });
  }
}

function divider(pen: Pen, x: number, height: number): void {
  const { context } = pen;
  context.fillStyle = "rgba(255,255,255,.9)";
  context.fillRect(x - 1.5, 0, 3, height);
  context.fillStyle = "rgba(20,26,40,.65)";
  context.fillRect(x - 0.5, 0, 1, height);
  dot(pen, x, height / 2, 9, "#3a4560");
  text(pen, "◂▸", x, height / 2, { size: 9, color: "#fff", halo: false });
}

function underBar(session: Session, pen: Pen, rect: { x: number; y: number; width: number; height: number }): void {
  const lines: string[] = [];
  for (const surface of session.drawn) {
    const share = session.landscape.clipped(surface, session.state);
    if (share > 0) lines.push(`${percent(share)} clipped${session.drawn.length > 1 ? ` · ${surface.label}` : ""}`);
  }
  lines.forEach((words, k) => text(pen, words, rect.x + rect.width + 44, rect.y + rect.height + 24 + 16 * k, { size: 11, align: "right" }));
}

function hoveredOnBar(session: Session): number | null {
  const { hovered, state } = session;
  return hovered && (!state.colorBy || state.colorBy === state.quantity) ? hovered.value : null;
}

function two([x, y]: number[]): [number, number] { return [x, y]; }
