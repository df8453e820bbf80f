// Text, dots and stars on the 2-D overlay canvas, which exports redraw at any size, and the test for hidden points.
import { FONT, type Theme } from "../dom/theme";
import type { SurfaceMesh } from "../gl/surfaceMesh";
import { viewAxes } from "../math/camera";
import type { WorldCoordinates } from "../math/coordinates";
import type { ViewState } from "../state";

export interface OverlayContext { context: CanvasRenderingContext2D; theme: Theme; state: ViewState; world: WorldCoordinates }

export function drawText(
  overlay: OverlayContext,
  label: string,
  x: number,
  y: number,
  options: { size?: number; weight?: number; color?: string; align?: CanvasTextAlign; italic?: boolean; halo?: boolean } = {},
): void {
  const { context, theme } = overlay;
  const { size = 12, weight = 400, align = "center", italic = false, halo = true } = options;
  context.font = `${italic ? "italic " : ""}${weight} ${size}px ${FONT}`;
  context.textAlign = align;
  context.textBaseline = "middle";
  if (halo) {
    context.lineJoin = "round";
    context.lineWidth = 3;
    context.strokeStyle = theme.halo;
    context.strokeText(label, x, y);
  }
  context.fillStyle = options.color ?? theme.soft;
  context.fillText(label, x, y);
}

export function drawDot(overlay: OverlayContext, x: number, y: number, radius: number, fill: string, opacity = 1): void {
  const { context } = overlay;
  context.globalAlpha = opacity;
  context.beginPath();
  context.arc(x, y, radius, 0, 7);
  context.fillStyle = fill;
  context.fill();
  context.lineWidth = 2;
  context.strokeStyle = "#ffffff";
  context.stroke();
  context.lineWidth = 0.8;
  context.strokeStyle = "rgba(10,14,24,.55)";
  context.beginPath();
  context.arc(x, y, radius + 1.2, 0, 7);
  context.stroke();
  context.globalAlpha = 1;
}

export function drawStar(overlay: OverlayContext, x: number, y: number, radius: number, fill = "#ffd84d", opacity = 1): void {
  const { context } = overlay;
  context.globalAlpha = opacity;
  context.beginPath();
  for (let k = 0; k < 10; k++) {
    const r = k % 2 ? radius * 0.45 : radius;
    const angle = (k * Math.PI) / 5 - Math.PI / 2;
    context.lineTo(x + r * Math.cos(angle), y + r * Math.sin(angle));
  }
  context.closePath();
  context.lineJoin = "round";
  context.lineWidth = 2.4;
  context.strokeStyle = "rgba(10,14,24,.85)";
  context.stroke();
  context.fillStyle = fill;
  context.fill();
  context.globalAlpha = 1;
}

/** A white plus with a dark rim: a model, as in figures. */
export function drawPlus(overlay: OverlayContext, x: number, y: number, radius: number, opacity = 1): void {
  const { context } = overlay;
  const third = radius * 0.36;
  context.globalAlpha = opacity;
  context.beginPath();
  for (const [dx, dy] of PLUS) context.lineTo(x + (Math.abs(dx) === 1 ? dx * radius : dx * third * 2), y + (Math.abs(dy) === 1 ? dy * radius : dy * third * 2));
  context.closePath();
  context.lineJoin = "round";
  context.lineWidth = 2.4;
  context.strokeStyle = "rgba(10,14,24,.85)";
  context.stroke();
  context.fillStyle = "#ffffff";
  context.fill();
  context.globalAlpha = 1;
}

/** Corners of a plus: 1 is its reach, 0.5 half the width of an arm. */
const PLUS = [
  [-0.5, -1], [0.5, -1], [0.5, -0.5], [1, -0.5], [1, 0.5], [0.5, 0.5], [0.5, 1], [-0.5, 1], [-0.5, 0.5], [-1, 0.5], [-1, -0.5], [-0.5, -0.5],
];

/** Whether the surface hides a point: marches from the point towards the camera. */
export function isHidden(surfaceMesh: SurfaceMesh, world: WorldCoordinates, state: ViewState, at: [number, number, number]): boolean {
  const { back } = viewAxes(state.camera);
  for (let k = 3; k < 70; k++) {
    const t = k * 0.03;
    const [x, y, z] = [at[0] + back[0] * t, at[1] + back[1] * t, at[2] + back[2] * t];
    if (z > world.top || Math.abs(x) > world.halfX || Math.abs(y) > world.halfY) return false;
    const value = surfaceMesh.valueAt(x, y);
    if (!Number.isNaN(value) && world.z(value) > z + 0.004 && world.normalize(value) <= 1) return true;
  }
  return false;
}
