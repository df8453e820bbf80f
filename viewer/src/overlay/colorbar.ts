// Color bar with ticks, units and the hovered value; its ends can be dragged to set the range.
import type { Rect } from "../gl/viewLayout";
import { denormalize, normalize, type Scale } from "../math/scale";
import { formatAll, linearTicks, logTicks, symlogTicks } from "../math/ticks";
import { drawText, type OverlayContext } from "./marks";

export interface ColorBar {
  rect: Rect;
  scale: Scale;
  morph: number;
  /** Shares of the scale at the bar's two ends. */
  range: [number, number];
  rgb: Uint8Array;
  label: string;
  note: string;
}

export function drawColorBar(overlay: OverlayContext, bar: ColorBar, hovered: number | null): void {
  const { context, theme } = overlay;
  const { x, y, width, height } = bar.rect;
  const gradient = context.createLinearGradient(0, y + height, 0, y);
  for (let k = 0; k <= 64; k++) {
    const c = Math.round((k / 64) * 255) * 3;
    gradient.addColorStop(k / 64, `rgb(${bar.rgb[c]},${bar.rgb[c + 1]},${bar.rgb[c + 2]})`);
  }
  context.beginPath();
  context.roundRect(x, y, width, height, 4);
  context.fillStyle = gradient;
  context.fill();
  context.lineWidth = 1;
  context.strokeStyle = theme.name === "dark" ? "rgba(255,255,255,.25)" : "rgba(23,28,43,.22)";
  context.stroke();
  drawText(overlay, bar.label, x + width + 44, y - 34, { size: 13, weight: 600, color: theme.text, align: "right" });
  drawText(overlay, bar.note, x + width + 44, y - 17, { size: 11, align: "right" });
  drawTicks(overlay, bar);
  if (hovered !== null && Number.isFinite(hovered)) drawMarker(overlay, bar, hovered);
}

export function colorBarTicks(bar: ColorBar): number[] {
  const low = denormalize(bar.scale, bar.range[0], bar.morph);
  const high = denormalize(bar.scale, bar.range[1], bar.morph);
  if (bar.morph < 0.5) return linearTicks(low, high, 5);
  return bar.scale.curve === "log" ? logTicks(low, high, 5) : symlogTicks(low, high, bar.scale.linearThreshold);
}

/** Height of a value on the bar, in pixels of the picture. */
export function colorBarY(bar: ColorBar, value: number): number {
  const s = (normalize(bar.scale, value, bar.morph) - bar.range[0]) / (bar.range[1] - bar.range[0]);
  return bar.rect.y + bar.rect.height * (1 - Math.max(0, Math.min(1, s)));
}

export function colorBarValue(bar: ColorBar, py: number): number {
  const s = 1 - (py - bar.rect.y) / bar.rect.height;
  return denormalize(bar.scale, bar.range[0] + Math.max(0, Math.min(1, s)) * (bar.range[1] - bar.range[0]), bar.morph);
}

function drawTicks(overlay: OverlayContext, bar: ColorBar): void {
  const { context, theme } = overlay;
  const { x, y, width, height } = bar.rect;
  const ends = [bar.range[0], bar.range[1]].map((s) => denormalize(bar.scale, s, bar.morph));
  const placed: number[] = [];
  const inner = colorBarTicks(bar);
  const text = formatAll([...ends, ...inner]);
  const put = (py: number, strong: boolean, label: string) => {
    if (placed.some((other) => Math.abs(other - py) < 15)) return;
    placed.push(py);
    context.fillStyle = theme.soft;
    context.fillRect(x + width, py - 0.5, 4, 1);
    drawText(overlay, label, x + width + 8, py, { size: 11.5, align: "left", color: strong ? theme.text : theme.soft });
  };
  put(y + height, true, text[0]);
  put(y, true, text[1]);
  inner.forEach((value, k) => put(colorBarY(bar, value), false, text[k + 2]));
}

function drawMarker(overlay: OverlayContext, bar: ColorBar, value: number): void {
  const { context, theme } = overlay;
  const y = colorBarY(bar, value);
  const { x, width } = bar.rect;
  context.beginPath();
  context.moveTo(x - 2, y);
  context.lineTo(x - 10, y - 5);
  context.lineTo(x - 10, y + 5);
  context.closePath();
  context.fillStyle = theme.text;
  context.fill();
  context.fillRect(x - 2, y - 0.75, width + 4, 1.5);
}
