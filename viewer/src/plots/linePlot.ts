// Line plots and histograms on a 2-D canvas, shared by the timeline, the profile and one-dimensional surfaces.
import type { Dash } from "../data/types";
import { FONT, type Theme } from "../dom/theme";
import { formatNumber, formatTick, linearTicks, logTicks, niceStep } from "../math/ticks";

export interface Series {
  x: ArrayLike<number>;
  y: ArrayLike<number>;
  color: string;
  dash?: Dash;
  axis?: "left" | "right";
  until?: number;
  width?: number;
  label?: string;
  band?: { low: ArrayLike<number>; high: ArrayLike<number> };
}
export interface PlotOptions {
  series: Series[];
  x: [number, number];
  margin: { left: number; right: number; top: number; bottom: number };
  logY?: boolean;
  xLabel?: string;
  yLabel?: string;
  yLabelRight?: string;
  ticks?: number;
  theme: Theme;
}
export interface PlotFrame { toX(v: number): number; toY(v: number): number; toYRight(v: number): number; y: [number, number] }

const DASHES: Record<Dash, number[]> = { solid: [], dashed: [6, 4], dashdot: [8, 3, 2, 3], dotted: [2, 3] };

export function drawPlot(context: CanvasRenderingContext2D, width: number, height: number, plot: PlotOptions): PlotFrame {
  const { margin } = plot;
  const left = valueRange(plot.series.filter((s) => s.axis !== "right"), !!plot.logY);
  const right = valueRange(plot.series.filter((s) => s.axis === "right"), false);
  const toX = (v: number) => margin.left + ((v - plot.x[0]) / (plot.x[1] - plot.x[0] || 1)) * (width - margin.left - margin.right);
  const vertical = (r: [number, number], log: boolean) => (v: number) => {
    const s = log ? Math.log(v / r[0]) / Math.log(r[1] / r[0]) : (v - r[0]) / (r[1] - r[0]);
    return height - margin.bottom - s * (height - margin.top - margin.bottom);
  };
  const frame: PlotFrame = { toX, toY: vertical(left, !!plot.logY), toYRight: vertical(right, false), y: left };
  drawGrid(context, width, height, plot, frame, left, right);
  for (const series of plot.series)
    drawSeries(
      context,
      { ...series, color: readableColor(series.color, plot.theme) },
      toX,
      series.axis === "right" ? frame.toYRight : frame.toY,
    );
  context.setLineDash([]);
  return frame;
}

/** Near-black lines would vanish on a dark page. */
export function readableColor(color: string, theme: Theme): string {
  if (theme.name === "light" || !/^#[0-9a-f]{6}$/i.test(color)) return color;
  const [r, g, b] = [1, 3, 5].map((k) => parseInt(color.slice(k, k + 2), 16));
  return 0.3 * r + 0.59 * g + 0.11 * b < 60 ? "#c9d1e3" : color;
}

function drawGrid(
  context: CanvasRenderingContext2D,
  width: number,
  height: number,
  plot: PlotOptions,
  frame: PlotFrame,
  left: [number, number],
  right: [number, number],
): void {
  const { margin, theme, ticks = 3 } = plot;
  context.font = `10.5px ${FONT}`;
  context.textBaseline = "middle";
  context.lineWidth = 1;
  const leftTicks = !plot.series.length ? [] : plot.logY ? logTicks(left[0], left[1], ticks) : linearTicks(left[0], left[1], ticks);
  const step = niceStep(left[1] - left[0], ticks);
  let last = Infinity;
  for (const tick of leftTicks) {
    const y = frame.toY(tick);
    if (last - y < 13) continue;
    last = y;
    context.strokeStyle = theme.name === "dark" ? "rgba(255,255,255,.09)" : "rgba(23,28,43,.08)";
    context.beginPath();
    context.moveTo(margin.left, y);
    context.lineTo(width - margin.right, y);
    context.stroke();
    context.fillStyle = theme.soft;
    context.textAlign = "right";
    context.fillText(plot.logY ? formatNumber(tick) : formatTick(tick, step), margin.left - 5, y);
  }
  if (plot.series.some((s) => s.axis === "right")) {
    const stepRight = niceStep(right[1] - right[0], ticks);
    context.textAlign = "left";
    for (const tick of linearTicks(right[0], right[1], ticks))
      context.fillText(formatTick(tick, stepRight), width - margin.right + 5, frame.toYRight(tick));
  }
  if (margin.bottom < 14) return;
  context.textAlign = "center";
  const stepX = niceStep(plot.x[1] - plot.x[0], 5);
  for (const tick of linearTicks(plot.x[0], plot.x[1], 5))
    context.fillText(formatTick(tick, stepX), frame.toX(tick), height - margin.bottom + 10);
  if (plot.xLabel) context.fillText(plot.xLabel, (margin.left + width - margin.right) / 2, height - 7);
  context.textAlign = "left";
  if (plot.yLabel) context.fillText(plot.yLabel, 4, 8);
  context.textAlign = "right";
  if (plot.yLabelRight) context.fillText(plot.yLabelRight, width - 4, 8);
}

function drawSeries(context: CanvasRenderingContext2D, series: Series, toX: (v: number) => number, toY: (v: number) => number): void {
  const { x, y, until = Infinity, width = 1.6 } = series;
  if (series.band) drawBand(context, series, toX, toY);
  context.setLineDash(DASHES[series.dash ?? "solid"]);
  for (const part of until < Infinity ? [0.22, 1] : [1]) {
    context.beginPath();
    let overlay = false;
    for (let k = 0; k < x.length; k++) {
      if (part === 1 && x[k] > until) break;
      const py = toY(y[k]);
      if (!Number.isFinite(py)) { overlay = false; continue; }
      if (overlay) context.lineTo(toX(x[k]), py);
      else context.moveTo(toX(x[k]), py);
      overlay = true;
    }
    context.globalAlpha = part;
    context.strokeStyle = series.color;
    context.lineWidth = width;
    context.lineJoin = "round";
    context.stroke();
  }
  context.globalAlpha = 1;
}

export interface HistogramOptions {
  curves: { x: ArrayLike<number> | { data: ArrayLike<number> }; y: { data: ArrayLike<number> }; color: string; label: string }[];
  pane: { x_label: string; y_label: string };
  theme: Theme;
}

/** Step outlines over their bins: `x` holds edges (one more than values) or centers. */
export function plotHistogram(
  context: CanvasRenderingContext2D,
  width: number,
  height: number,
  { curves, pane, theme }: HistogramOptions,
): void {
  const series = curves.map(({ x, y, color, label }): Series => {
    const places = "data" in x ? x.data : x;
    const values = y.data;
    const edges = binEdges(places, values.length);
    const [xs, ys] = [new Float64Array(values.length * 2 + 2), new Float64Array(values.length * 2 + 2)];
    xs[0] = edges[0];
    for (let k = 0; k < values.length; k++) {
      xs.set([edges[k], edges[k + 1]], 2 * k + 1);
      ys.set([values[k], values[k]], 2 * k + 1);
    }
    xs[xs.length - 1] = edges[values.length];
    return { x: xs, y: ys, color, label, width: 1.5, band: { low: ys.map(() => 0), high: ys } };
  });
  const all = series.flatMap((s) => Array.from(s.x));
  drawPlot(context, width, height, {
    series,
    x: [Math.min(...all), Math.max(...all)],
    margin: { left: 38, right: 8, top: series.some((s) => s.label) ? 12 + 12 * series.length : 8, bottom: pane.x_label ? 32 : 18 },
    theme,
    ticks: 3,
    xLabel: pane.x_label,
  });
  context.textAlign = "left";
  series.forEach((s, k) => {
    if (!s.label) return;
    context.fillStyle = readableColor(s.color, theme);
    context.fillRect(42, 9 + 12 * k, 10, 3);
    context.fillStyle = theme.soft;
    context.fillText(s.label, 56, 10 + 12 * k);
  });
}

export function binEdges(x: ArrayLike<number>, count: number): Float64Array {
  if (x.length === count + 1) return Float64Array.from(x);
  return Float64Array.from({ length: count + 1 }, (_, k) =>
    k === 0 ? x[0] - (x[1] - x[0]) / 2 : k === count ? x[count - 1] + (x[count - 1] - x[count - 2]) / 2 : (x[k - 1] + x[k]) / 2,
  );
}

function drawBand(context: CanvasRenderingContext2D, series: Series, toX: (v: number) => number, toY: (v: number) => number): void {
  const { x, band: b } = series;
  context.beginPath();
  for (let k = 0; k < x.length; k++) context.lineTo(toX(x[k]), toY(b!.high[k]));
  for (let k = x.length - 1; k >= 0; k--) context.lineTo(toX(x[k]), toY(b!.low[k]));
  context.fillStyle = series.color;
  context.globalAlpha = 0.14;
  context.fill();
  context.globalAlpha = 1;
}

function valueRange(series: Series[], log: boolean): [number, number] {
  let [low, high] = [Infinity, -Infinity];
  for (const s of series) for (let k = 0; k < s.y.length; k++) {
    const v = s.y[k];
    if (!Number.isFinite(v) || (log && v <= 0)) continue;
    low = Math.min(low, v);
    high = Math.max(high, v);
  }
  if (!(high >= low)) return log ? [0.1, 1] : [0, 1];
  if (log) return high > low ? [low * 0.9, high * 1.1] : [low / 2, low * 2];
  const pad = (high - low) * 0.06 || Math.abs(low) * 0.1 || 1;
  return [low - pad, high + pad];
}
