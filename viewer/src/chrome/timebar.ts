// Timeline bar: play button, speed, and loss and accuracy curves that serve as the scrubber.
import type { PathData } from "../data/types";
import { fitCanvas } from "../dom/canvas";
import { button, h, icon, select } from "../dom/elements";
import { drawPlot, type PlotFrame, type Series } from "../plots/linePlot";
import { PATH_COLORS } from "../sceneModel";
import type { Session } from "../session";
import type { ViewState } from "../state";

export interface TimeActions {
  set(change: Partial<ViewState>): void;
  play(): void;
  stepBy(frames: number): void;
  goto(end: "first" | "last"): void;
}

export class Timebar {
  readonly element: HTMLElement;
  private readonly canvas = h("canvas", {});
  private readonly plotArea: HTMLElement;
  private readonly time = h("div", { class: "time" });
  private readonly playButton: HTMLButtonElement;
  private readonly speed: HTMLSelectElement;
  private readonly resizeHandle = h("div", { class: "grip", title: "Drag to make the timeline higher or lower" });
  private frame: PlotFrame | null = null;

  constructor(private readonly session: Session, private readonly actions: TimeActions) {
    this.playButton = button("play", "Play (Space)", () => actions.play(), { class: "play" });
    this.speed = select(
      "Speed",
      ["0.25", "0.5", "1", "2", "4", "8"].map((v) => [v, `${v}×`]),
      "1",
      (v) => actions.set({ speed: Number(v) }),
    );
    this.speed.className = "speed";
    this.plotArea = h("div", { class: "curves", tabindex: "0", role: "slider", "aria-label": "Timeline" }, this.canvas);
    this.listen();
    this.element = h(
      "div",
      { class: "bar" },
      this.resizeHandle,
      h("div", { class: "controls" }, this.playButton, this.speed),
      this.plotArea,
      this.time,
    );
  }

  update(): void {
    const { session } = this;
    const { state, timeline } = session;
    this.element.hidden = !timeline.isAnimated;
    if (!timeline.isAnimated) return;
    this.playButton.replaceChildren(icon(state.playing ? "pause" : "play"));
    this.playButton.setAttribute("aria-label", state.playing ? "Pause (Space)" : "Play (Space)");
    this.speed.value = String(state.speed);
    this.time.textContent = timeline.label(state.frame) + (timeline.isTransition(state.frame) ? " (blend)" : "");
    this.plotArea.setAttribute("aria-valuemin", "0");
    this.plotArea.setAttribute("aria-valuemax", String(timeline.length - 1));
    this.plotArea.setAttribute("aria-valuenow", String(Math.round(state.frame)));
    this.plotArea.setAttribute("aria-valuetext", timeline.label(state.frame));
    this.draw();
  }

  private draw(): void {
    const { session } = this;
    const series = timeSeries(session);
    this.plotArea.classList.toggle("plain", !series.length);
    this.plotArea.style.height = series.length ? `${Math.max(BAR_LIMITS[0], Math.min(BAR_LIMITS[1], session.state.barHeight))}px` : "";
    const { clientWidth: width, clientHeight: height } = this.plotArea;
    if (!width) return;
    const context = fitCanvas(this.canvas, width, height);
    const { timeline, state, theme } = session;
    const range: [number, number] = [timeline.step(0), timeline.step(timeline.length - 1)];
    const hasRight = series.some((s) => s.axis === "right");
    const left = series.filter((s) => s.axis !== "right");
    const margin = { left: series.length ? 42 : 8, right: hasRight ? 38 : 10, top: 8, bottom: series.length ? 16 : 8 };
    this.frame = drawPlot(context, width, height, {
      series,
      x: range,
      margin,
      ticks: 2,
      theme,
      logY: left.length > 0 && spansDecades(left),
    });
    drawStepTicks(context, session, this.frame, height - margin.bottom);
    const x = this.frame.toX(timeline.step(state.frame));
    if (state.range) {
      context.fillStyle = theme.name === "dark" ? "rgba(122,165,255,.14)" : "rgba(37,99,235,.1)";
      const [a, b] = state.range.map((f) => this.frame!.toX(timeline.step(f)));
      context.fillRect(a, 2, b - a, height - 4);
    }
    if (!series.length) {
      context.fillStyle = theme.name === "dark" ? "rgba(255,255,255,.16)" : "rgba(23,28,43,.14)";
      context.beginPath();
      context.roundRect(margin.left, height / 2 - 2, width - margin.left - margin.right, 4, 2);
      context.fill();
    }
    context.strokeStyle = theme.name === "dark" ? "#7aa5ff" : "#2563eb";
    context.fillStyle = context.strokeStyle;
    context.lineWidth = 1.5;
    context.beginPath();
    context.moveTo(x, 3);
    context.lineTo(x, height - (series.length ? 14 : 3));
    context.stroke();
    context.beginPath();
    context.arc(x, series.length ? 7 : height / 2, 5, 0, 7);
    context.fill();
  }

  private listen(): void {
    const { plotArea, actions, session, resizeHandle } = this;
    resizeHandle.addEventListener("pointerdown", (event) => resizeHandle.setPointerCapture(event.pointerId));
    resizeHandle.addEventListener("pointermove", (event) => {
      if (resizeHandle.hasPointerCapture(event.pointerId))
        actions.set({ barHeight: Math.max(BAR_LIMITS[0], Math.min(BAR_LIMITS[1], session.state.barHeight - event.movementY)) });
    });
    const scrub = (event: PointerEvent) => {
      const { timeline } = session;
      if (!this.frame) return;
      const [a, b] = [this.frame.toX(timeline.step(0)), this.frame.toX(timeline.step(timeline.length - 1))];
      const x = event.clientX - plotArea.getBoundingClientRect().left;
      const fraction = Math.max(0, Math.min(1, (x - a) / (b - a || 1)));
      const step = timeline.step(0) + fraction * (timeline.step(timeline.length - 1) - timeline.step(0));
      actions.set({ frame: Math.round(timeline.frameAt(step)), playing: false, follow: false });
    };
    plotArea.addEventListener("pointerdown", (event) => { plotArea.setPointerCapture(event.pointerId); scrub(event); });
    plotArea.addEventListener("pointermove", (event) => { if (plotArea.hasPointerCapture(event.pointerId)) scrub(event); });
    plotArea.addEventListener("keydown", (event) => {
      const by = event.shiftKey ? 10 : 1;
      const keys: Record<string, () => void> = {
        ArrowLeft: () => actions.stepBy(-by),
        ArrowDown: () => actions.stepBy(-by),
        ArrowRight: () => actions.stepBy(by),
        ArrowUp: () => actions.stepBy(by),
        Home: () => actions.goto("first"),
        End: () => actions.goto("last"),
      };
      if (!keys[event.key]) return;
      keys[event.key]();
      event.preventDefault();
      event.stopPropagation();
    });
  }
}

/** The scene's curves, else the losses recorded along its paths. */
function timeSeries(session: Session): Series[] {
  const { scene, step, state } = session;
  const named = (kind: string) => new Set(scene.panes.filter((p) => p.kind === kind).flatMap((p) => p.curves));
  const [names, bars] = [named("curves"), named("histogram")];
  const curves = scene.curves.filter((c) => (!names.size || names.has(c.name)) && !bars.has(c.name));
  if (curves.length) {
    return curves.map((c, k) => ({
      x: c.x.data,
      y: c.y.data,
      color: c.color ?? (c.axis === "right" ? "#3a9d6e" : PATH_COLORS[k % PATH_COLORS.length]),
      dash: c.dash,
      axis: c.axis,
      until: c.reveal ? step : Infinity,
      band: c.band ? { low: c.band[0].data, high: c.band[1].data } : undefined,
    }));
  }
  return session.sceneModel.paths(state).flatMap(({ path, color }): Series[] => {
    const y = path.loss ?? path.plane_loss;
    return y && !state.hiddenPaths.includes(path.name) ? [{ x: path.step.data, y: y.data, color, until: step }] : [];
  });
}

const BAR_LIMITS: [number, number] = [48, 320];

/** Below the curves: a short tick at each recorded step, a longer one where an epoch ends, a diamond where the scene marks a step. */
function drawStepTicks(context: CanvasRenderingContext2D, session: Session, frame: PlotFrame, base: number): void {
  const path = session.sceneModel
    .paths(session.state)
    .map((p) => p.path)
    .reduce<PathData | null>((best, candidate) => (!best || candidate.step.data.length > best.step.data.length ? candidate : best), null);
  if (!path) return;
  const { step, epoch, marks } = path;
  const dark = session.theme.name === "dark";
  const put = (at: number, reach: number, color: string) => {
    context.fillStyle = color;
    context.fillRect(frame.toX(at) - 0.5, base - reach, 1, reach);
  };
  for (const at of thinOut(Array.from(step.data), frame, 4)) put(at, 4, dark ? "rgba(255,255,255,.3)" : "rgba(23,28,43,.28)");
  if (epoch) {
    const ends = Array.from(step.data).filter((_, k) => k > 0 && Math.floor(epoch.data[k] + 1e-9) > Math.floor(epoch.data[k - 1] + 1e-9));
    for (const at of thinOut(ends, frame, 7)) put(at, 8, dark ? "rgba(255,255,255,.55)" : "rgba(23,28,43,.55)");
  }
  context.fillStyle = dark ? "#ffd84d" : "#b45309";
  for (const k of marks) {
    const x = frame.toX(step.data[k]);
    context.beginPath();
    for (const [dx, dy] of [[0, -5], [4, 0], [0, 5], [-4, 0]]) context.lineTo(x + dx, base - 8 + dy);
    context.fill();
  }
}

/** Steps at least `apart` pixels from one another; none where nearly all would be left out. */
function thinOut(steps: number[], frame: PlotFrame, apart: number): number[] {
  const out: number[] = [];
  for (const step of steps) if (!out.length || frame.toX(step) - frame.toX(out[out.length - 1]) >= apart) out.push(step);
  return out.length > steps.length / 3 ? out : [];
}

function spansDecades(series: Series[]): boolean {
  let [low, high] = [Infinity, -Infinity];
  for (const s of series)
    for (let k = 0; k < s.y.length; k++) {
      if (Number.isFinite(s.y[k])) {
        low = Math.min(low, s.y[k]);
        high = Math.max(high, s.y[k]);
      }
    }
  return low > 0 && high / low > 20;
}
