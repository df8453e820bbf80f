// Plot of one-dimensional surfaces: loss on the left axis, accuracy on the right, with a readout under the pointer.
import type { Surface } from "../data/surface";
import { fitCanvas } from "../dom/canvas";
import { h } from "../dom/elements";
import { formatNumber } from "../math/ticks";
import { PATH_COLORS } from "../sceneModel";
import type { Session } from "../session";
import { drawPlot, type Series } from "./linePlot";

export class LinesPane {
  readonly element = h("div", { hidden: true, style: "position:absolute;inset:70px 24px 20px" });
  private readonly canvas = h("canvas", { role: "img", "aria-label": "Quantities along the line" });
  private pointerX: number | null = null;

  constructor(private readonly session: Session) {
    this.element.append(this.canvas);
    this.element.addEventListener("pointermove", (event) => {
      this.pointerX = event.clientX - this.element.getBoundingClientRect().left;
      this.update();
    });
    this.element.addEventListener("pointerleave", () => {
      this.pointerX = null;
      this.update();
    });
  }

  update(): void {
    const { session } = this;
    const { clientWidth: width, clientHeight: height } = this.element;
    if (this.element.hidden || !width) return;
    const context = fitCanvas(this.canvas, width, height);
    const series = session.sceneModel.lines.flatMap((line, k) => seriesOf(line, k, session));
    const axis = session.sceneModel.lines[0].alpha;
    const x: [number, number] = [axis[0], axis[axis.length - 1]];
    const first = session.sceneModel.lines[0];
    const right = series.find((s) => s.axis === "right");
    const margin = { left: 64, right: right ? 56 : 20, top: 34, bottom: 44 };
    const frame = drawPlot(context, width, height, {
      series,
      x,
      margin,
      ticks: 6,
      theme: session.theme,
      logY: session.state.log,
      xLabel: first.data.alpha_label || "α",
      yLabel: series[0]?.label,
      yLabelRight: right?.label,
    });
    drawLegend(context, series, margin.left, session);
    if (this.pointerX !== null) this.readout(context, series, x, margin, width, height, frame.toX);
  }

  private readout(
    context: CanvasRenderingContext2D,
    series: Series[],
    x: [number, number],
    margin: { left: number; right: number; top: number; bottom: number },
    width: number,
    height: number,
    toX: (v: number) => number,
  ): void {
    const { theme } = this.session;
    const value = x[0] + ((this.pointerX! - margin.left) / (width - margin.left - margin.right)) * (x[1] - x[0]);
    const axis = series[0].x;
    let k = 0;
    for (let i = 0; i < axis.length; i++) if (Math.abs(axis[i] - value) < Math.abs(axis[k] - value)) k = i;
    const px = toX(axis[k]);
    context.strokeStyle = theme.soft;
    context.lineWidth = 1;
    context.strokeRect(px, margin.top, 0, height - margin.top - margin.bottom);
    context.fillStyle = theme.text;
    context.textAlign = px > width / 2 ? "right" : "left";
    const lines = [`α ${formatNumber(axis[k], 4)}`, ...series.map((s) => `${s.label} ${formatNumber(s.y[k], 4)}`)];
    lines.forEach((text, n) => context.fillText(text, px + (px > width / 2 ? -8 : 8), margin.top + height / 3 + 15 * n));
  }
}

function seriesOf(line: Surface, k: number, session: Session): Series[] {
  return line.quantities.map((quantity): Series => {
    const raw = line.frameValues(quantity, Math.round(session.state.frame));
    const y = Float64Array.from(raw as ArrayLike<number>, (v, i) => (line.doneMask && !line.doneMask[i] ? NaN : v));
    const label = session.sceneModel.lines.length > 1 ? `${line.label}: ${line.field(quantity)!.label}` : line.field(quantity)!.label;
    return {
      x: line.alpha,
      y,
      color: PATH_COLORS[(2 * k + (quantity === "loss" ? 1 : 0)) % PATH_COLORS.length],
      axis: /accuracy/.test(quantity) ? "right" : "left",
      dash: /accuracy/.test(quantity) ? "dashed" : "solid",
      width: 2.2,
      label,
    };
  });
}

function drawLegend(context: CanvasRenderingContext2D, series: Series[], left: number, session: Session): void {
  let x = left + 120;
  context.textAlign = "left";
  for (const s of series) {
    context.strokeStyle = s.color;
    context.lineWidth = 3;
    context.beginPath();
    context.moveTo(x, 12);
    context.lineTo(x + 22, 12);
    context.stroke();
    context.fillStyle = session.theme.text;
    context.fillText(s.label ?? "", x + 28, 12);
    x += 46 + context.measureText(s.label ?? "").width;
  }
}
