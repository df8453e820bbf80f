// Page of one viewer: viewport, heading, legend, banner, footer and messages.
import { h, icon } from "../dom/elements";
import type { Session } from "../session";
import { comparisonWarnings, describeScene } from "./about";
import { Banner } from "./banner";
import { captionLines } from "./caption";
import { Legend } from "./legend";
import { emptyMessage, headingElements, missingQuantityWarning, otherPlanesWarning } from "./pageText";

/** Parts that other modules make; lists keep their order. */
export interface PageParts {
  /** On the picture: canvases below heading and legend, panes and controls above them. */
  canvases: HTMLElement[];
  panes: HTMLElement[];
  controls: HTMLElement[];
  /** Below the picture, before and after the banner. */
  beforeBanner: HTMLElement[];
  afterBanner: HTMLElement[];
}

export class Page {
  readonly frame = h("div", { class: "viewer" });
  readonly viewport = h("div", { class: "stage", tabindex: "0", role: "img" });
  readonly banner = new Banner();
  readonly legend = new Legend();
  private readonly heading = h("div", { class: "heading" });
  private readonly message = h("div", { class: "message", hidden: true, role: "alert" });
  private readonly footer = h("div", { class: "foot" });
  private readonly description = h("div", { class: "unseen", "aria-live": "polite" });

  constructor(private readonly session: Session) {}

  build({ canvases, panes, controls, beforeBanner, afterBanner }: PageParts): void {
    this.viewport.append(...canvases, this.heading, this.legend.element, ...panes, this.message, ...controls);
    this.frame.append(this.viewport, ...beforeBanner, this.banner.element, ...afterBanner, this.footer, this.description);
  }

  /** Where the heading ends, in pixels from the top. */
  get headingBottom(): number { return this.heading.offsetTop + this.heading.offsetHeight; }

  /** Show a message while there is nothing to draw. */
  updateMessage(): void {
    const message = emptyMessage(this.session.sceneModel);
    this.message.hidden = !message;
    this.message.replaceChildren(...(message ? [message] : []));
  }

  /** Update heading, footer, description and warnings; `warnings` come first in the banner. */
  updateText(warnings: string[], openScene: (index: number) => void, openInfo: () => void): void {
    const { session } = this;
    this.heading.replaceChildren(...headingElements(session, openScene));
    const lines = captionLines(session);
    const spans = (lines.length ? lines : ["About this landscape"]).map((line) =>
      h("span", { class: line.startsWith("Caution: ") ? "caution" : "" }, line),
    );
    const title = [...lines, "Click: everything that is known of this landscape"].join("\n");
    this.footer.replaceChildren(h("button", { type: "button", onclick: openInfo, title }, icon("info"), ...spans));
    this.description.textContent = describeScene(session);
    this.viewport.setAttribute("aria-label", `${session.scene.title || "Loss landscape"}. ${describeScene(session)}`);
    const ofScene = [...otherPlanesWarning(session), ...comparisonWarnings(session), ...missingQuantityWarning(session)];
    this.banner.show([...warnings, ...session.document.warnings, ...ofScene].join(" "));
  }

  /** Side-by-side views fill the picture, and a phone has no room on it; the legend then goes below. */
  placeLegend(): void {
    const { state, drawn } = this.session;
    const below = ((state.mode === "side" && drawn.length > 1) || this.viewport.clientWidth < 620) && state.ui !== "0";
    const { element } = this.legend;
    element.classList.toggle("strip", below);
    if (below === (element.parentElement === this.frame)) return;
    if (below) this.viewport.after(element);
    else this.heading.after(element);
  }

  /** Keep the legend clear of the inset map or of the heading above it. */
  limitLegendHeight(): void {
    const { session } = this;
    const inset = session.state.map === "inset" ? session.views().find((view) => view.kind === "map") : undefined;
    const top = inset ? inset.rect.y + inset.rect.height + 30 : session.headingBottom + 20;
    this.legend.element.style.maxHeight = `${Math.max(80, session.height - top - 14)}px`;
  }

  toast(message: string, milliseconds = 2200): void {
    const element = h("div", { class: "toast", role: "status" }, message);
    this.frame.append(element);
    setTimeout(() => element.remove(), milliseconds);
  }
}
