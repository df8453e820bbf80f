// Cards below the main view: decision regions, histograms, text panes.
import type { CurveData, PaneData } from "../data/types";
import { fitCanvas } from "../dom/canvas";
import { h } from "../dom/elements";
import { PATH_COLORS } from "../sceneModel";
import type { Session } from "../session";
import { DecisionRegionsPane } from "./decisionRegions";
import { plotHistogram } from "./linePlot";

export const CARD_LIMITS: [number, number] = [110, 420];

export class Cards {
  readonly element = h("div", { class: "cards" });
  private readonly decisionRegions: DecisionRegionsPane;
  private readonly resizeHandle = h("div", { class: "grip", title: "Drag to make these panes larger or smaller" });
  private histograms: { pane: PaneData; canvas: HTMLCanvasElement }[] = [];
  private scene: unknown = null;
  private key = "";

  constructor(private readonly session: Session) {
    this.decisionRegions = new DecisionRegionsPane(session);
    this.resizeHandle.addEventListener("pointerdown", (event) => this.resizeHandle.setPointerCapture(event.pointerId));
    this.resizeHandle.addEventListener("pointermove", (event) => {
      if (!this.resizeHandle.hasPointerCapture(event.pointerId)) return;
      const size = session.state.cardSize - event.movementY;
      session.store.set({ cardSize: Math.max(CARD_LIMITS[0], Math.min(CARD_LIMITS[1], size)) });
    });
  }

  update(): void {
    const { session } = this;
    const { scene, state } = session;
    const page = this.element.parentElement;
    const [width, height] = [page?.clientWidth ?? 0, page?.clientHeight ?? 0];
    const size = Math.round(Math.min(state.cardSize, width * 0.5, height * 0.34));
    if (scene !== this.scene) this.rebuild();
    this.decisionRegions.update(size);
    const shown = !this.decisionRegions.element.hidden || this.histograms.length > 0 || this.element.querySelector(".words") !== null;
    this.element.hidden = !shown || size < 80 || state.ui === "0";
    const key = `${size}/${session.theme.name}/${Math.round(state.frame)}`;
    if (this.element.hidden || key === this.key) return;
    this.key = key;
    for (const { pane, canvas } of this.histograms) {
      const [w, hh] = [Math.round(size * 1.6), size];
      canvas.style.width = `${w}px`;
      canvas.style.height = `${hh}px`;
      plotHistogram(fitCanvas(canvas, w, hh), w, hh, { curves: this.curves(pane), pane, theme: session.theme });
    }
    for (const text of this.element.querySelectorAll<HTMLElement>(".words")) text.style.maxWidth = `${Math.round(size * 1.5)}px`;
  }

  private curves(pane: PaneData): (CurveData & { color: string })[] {
    return this.session.scene.curves
      .filter((curve) => pane.curves.includes(curve.name))
      .map((curve, k) => ({ ...curve, color: curve.color ?? PATH_COLORS[k % PATH_COLORS.length] }));
  }

  private rebuild(): void {
    const { scene } = this.session;
    this.scene = scene;
    this.key = "";
    this.histograms = scene.panes
      .filter((pane) => pane.kind === "histogram")
      .map((pane) => ({ pane, canvas: h("canvas", { role: "img", "aria-label": `Histogram: ${pane.title}` }) }));
    const texts = scene.panes.filter((pane) => pane.kind === "text" && pane.text);
    this.element.replaceChildren(
      this.resizeHandle,
      ...texts.map((pane) => h("div", { class: "card words" }, pane.title ? h("b", {}, pane.title) : null, h("p", {}, pane.text))),
      ...this.histograms.map(({ pane, canvas }) => h("div", { class: "card" }, pane.title, canvas)),
      this.decisionRegions.element,
    );
  }
}
