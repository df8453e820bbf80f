// Export panel: PNG, SVG, WebM and CSV files, Python code, and the link that restores the view.
import { button, download, h } from "../dom/elements";
import { pathsToCsv, surfaceToCsv } from "../export/csv";
import type { Exportable } from "../export/exportable";
import { pngBlob } from "../export/png";
import { pythonCode } from "../export/python";
import { contourSvg } from "../export/svg";
import { recordWebm } from "../export/webm";
import { toHash } from "../state";

export function sharePanel(viewer: Exportable): HTMLElement {
  const { session } = viewer;
  const stem =
    (session.scene.title || "landscape")
      .toLowerCase()
      .replace(/[^a-z0-9]+/g, "-")
      .replace(/^-|-$/g, "")
      .slice(0, 60) || "landscape";
  const transparent = h("input", { type: "checkbox", id: "transparent" });
  const png = (times: number) =>
    button(`${times}×`, `Picture, ${times} times the size on screen`, async () =>
      download(`${stem}.png`, await pngBlob(viewer, times, transparent.checked)),
    );
  const copy = (text: string, done: string) =>
    navigator.clipboard?.writeText(text).then(
      () => viewer.toast(done),
      () => viewer.toast("The browser did not allow copying"),
    );
  const link = () => {
    const at = location.href.split("#")[0] + toHash(session.state, session.store.initial);
    void copy(at, "Link copied");
  };
  return h(
    "div",
    { class: "panel", role: "dialog", "aria-label": "Export and share" },
    h("h2", {}, "Picture (PNG)"),
    h("div", { class: "buttons" }, png(1), png(2), png(4)),
    h("label", { class: "row" }, h("span", {}, "Transparent"), h("span", {}, transparent)),
    h("h2", {}, "Contour pane"),
    h(
      "div",
      { class: "buttons" },
      button("SVG", "Contour pane as vectors", () => download(`${stem}.svg`, contourSvg(session), "image/svg+xml")),
    ),
    session.timeline.isAnimated && h("h2", {}, "Animation"),
    session.timeline.isAnimated &&
      h(
        "div",
        { class: "buttons" },
        button("WebM", "Record the animation", () => void recordWebm(viewer, (blob) => download(`${stem}.webm`, blob))),
      ),
    h("h2", {}, "Numbers"),
    h(
      "div",
      { class: "buttons" },
      button("grid CSV", "Values of the active surface", () => download(`${stem}.csv`, surfaceToCsv(session), "text/csv")),
      session.scene.paths.length > 0 &&
        button("paths CSV", "Points of the paths", () => download(`${stem}-paths.csv`, pathsToCsv(session), "text/csv")),
    ),
    h("h2", {}, "Share"),
    h(
      "div",
      { class: "buttons" },
      button("copy link", "Address of this view", link),
      button("copy Python", "Python code for a figure of this view", () => void copy(pythonCode(session), "Python code copied")),
    ),
  );
}
