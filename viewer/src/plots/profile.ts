// Profile plot: values of every shown surface on the segment between two probes.
import { fitCanvas } from "../dom/canvas";
import { button, h } from "../dom/elements";
import { formatNumber } from "../math/ticks";
import { SURFACE_TINTS } from "../sceneModel";
import type { Session } from "../session";
import { drawPlot, type Series } from "./linePlot";

const SAMPLES = 160;

export class ProfilePane {
  readonly element = h("div", { class: "profile", hidden: true });
  private readonly canvas = h("canvas", { role: "img", "aria-label": "Profile between the probes" });
  private readonly summary = h("div", {});

  constructor(private readonly session: Session, close: () => void) {
    this.element.append(this.summary, this.canvas, button("close", "Let go of the probes (Esc)", close, { class: "close" }));
  }

  update(): void {
    const { session } = this;
    const { probes } = session.state;
    this.element.hidden = probes.length < 2 || !session.renderer;
    if (this.element.hidden) return;
    const profile = sampleProfile(session);
    const shown = profile.map(({ label, values, x }, k): Series => ({
      x,
      y: values,
      label,
      color:
        session.drawn.length > 1 ? SURFACE_TINTS[session.sceneModel.surfaces.indexOf(session.drawn[k]) % SURFACE_TINTS.length] : "#2563eb",
      width: 2,
    }));
    const first = profile[0]?.values ?? [];
    const distance = formatNumber(profile[0]?.x.at(-1) ?? 0);
    this.summary.textContent = `A ${formatNumber(first[0])} → B ${formatNumber(first[first.length - 1])}, ${distance} apart`;
    const context = fitCanvas(this.canvas, 300, 130);
    drawPlot(context, 300, 130, {
      series: shown,
      x: [0, profile[0]?.x.at(-1) ?? 1],
      margin: { left: 42, right: 8, top: 8, bottom: 18 },
      theme: session.theme,
      ticks: 4,
      logY: session.state.log && shown.every((s) => Array.from(s.y).every((v) => !(v <= 0))),
    });
  }
}

/** Values of each drawn surface at even distances between the two probes. */
export function sampleProfile(session: Session): { label: string; x: Float64Array; values: Float64Array }[] {
  const [[a0, b0], [a1, b1]] = session.state.probes;
  const { world } = session.renderer!;
  const length = Math.hypot(a1 - a0, b1 - b0);
  return session.drawn.map((surface) => {
    const surfaceMesh = session.renderer!.meshOf(surface);
    const at = (k: number) => k / (SAMPLES - 1);
    return {
      label: surface.label,
      x: Float64Array.from({ length: SAMPLES }, (_, k) => at(k) * length),
      values: Float64Array.from({ length: SAMPLES }, (_, k) =>
        surfaceMesh.valueAt(world.x(a0 + (a1 - a0) * at(k)), world.y(b0 + (b1 - b0) * at(k))),
      ),
    };
  });
}
