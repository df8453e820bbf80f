// Heading, warnings about surfaces that are not shown, and the message of an empty scene.
import type { SceneData } from "../data/types";
import { h } from "../dom/elements";
import type { SceneModel } from "../sceneModel";
import type { Session } from "../session";

/** Title, subtitle and, where the document holds several scenes, their menu. */
export function headingElements(session: Session, open: (index: number) => void): HTMLElement[] {
  const { scene, document, state } = session;
  const out: HTMLElement[] = [h("h1", {}, scene.title)];
  if (scene.subtitle) out.push(h("p", {}, scene.subtitle));
  if (document.scenes.length > 1) {
    const named = (s: SceneData, k: number) => {
      const alone = document.scenes.filter((other) => other.title === s.title).length < 2;
      return alone && s.title ? s.title : `${s.title || "Scene"} · ${s.subtitle || k + 1}`;
    };
    const menu = h(
      "select",
      { class: "scenes", "aria-label": "Scene" },
      ...document.scenes.map((s, k) => h("option", { value: k, selected: k === state.scene }, named(s, k))),
    );
    menu.addEventListener("change", () => open(Number(menu.value)));
    out.push(menu);
  }
  return out;
}

/** Warning that names the surfaces without the quantity shown. */
export function missingQuantityWarning(session: Session): string[] {
  const { quantity, hidden } = session.state;
  const names = session.sceneModel.surfaces.filter((s) => !hidden.includes(s.name) && !s.quantities.includes(quantity)).map((s) => s.label);
  if (!names.length || !quantity) return [];
  return [`${names.join(", ")} ${names.length > 1 ? "have" : "has"} no ${quantity} and ${names.length > 1 ? "are" : "is"} not shown.`];
}

/** Warning that names the surfaces on planes that are not shown, and how to show them. */
export function otherPlanesWarning(session: Session): string[] {
  const { sceneModel, state } = session;
  const shown = sceneModel.visible(state);
  const away = sceneModel.surfaces.filter(
    (s) => state.hidden.includes(s.name) && shown.length && !shown.some((other) => sceneModel.samePlane(s.name, other.name)),
  );
  if (!away.length) return [];
  const named = away.slice(0, 3).map((s) => s.label).join(", ");
  const which = away.length === 1
    ? "Another surface lies on a plane of its own and is"
    : `${away.length} more surfaces lie on other planes and are`;
  return [`${which} not shown (${named}${away.length > 3 ? ", …" : ""}): choose one in the legend.`];
}

/** Message shown instead of a picture; null when there is one. */
export function emptyMessage(sceneModel: SceneModel): HTMLElement | null {
  if (sceneModel.lines.length && !sceneModel.surfaces.length) return null;
  // The path of a training that is still recorded lies on a plane of which nothing is computed.
  if (sceneModel.scene.paths.length && sceneModel.surfaces.length) return null;
  if (sceneModel.surfaces.some((s) => s.quantities.some((q) => s.range(q).low <= s.range(q).high))) return null;
  const [title, text] = sceneModel.surfaces.length
    ? [
        "Nothing has been computed yet",
        "No cell of this surface holds a finite value. Continue the evaluation with the command that started it, " +
          "or follow it with: lossatlas view ARCHIVE",
      ]
    : ["There is no surface to show", "This scene holds no surface over a plane or a line. Evaluate one with: lossatlas evaluate"];
  return h("div", {}, h("h2", {}, title), h("p", {}, text));
}
