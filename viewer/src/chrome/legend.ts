// Legend of surfaces and paths: a click shows or hides one, a double-click makes a surface the active one.
import { offPlaneFlags } from "../data/offPlane";
import { h } from "../dom/elements";
import { SURFACE_TINTS } from "../sceneModel";
import type { Session } from "../session";
import type { ViewState } from "../state";

export class Legend {
  readonly element = h("div", { class: "legend", role: "group", "aria-label": "Legend" });
  private key = "";

  update(session: Session, set: (change: Partial<ViewState>) => void): void {
    const { state, sceneModel, scene } = session;
    const shown = sceneModel.visible(state);
    const alone = shown.every((s) => sceneModel.samePlane(s.name, shown[0].name));
    const key = JSON.stringify([
      scene.title,
      sceneModel.surfaces.map((s) => s.label),
      sceneModel.surfaces.length,
      state.quantity,
      state.hidden,
      state.hiddenPaths,
      state.active,
      state.mode,
    ]);
    if (key === this.key) return;
    this.key = key;
    const several = sceneModel.surfaces.length > 1;
    this.element.replaceChildren(
      ...(several
        ? sceneModel.surfaces.map((surface, k) => {
            const active = surface === sceneModel.visible(state)[0];
            const item = legendButton(
              surface.label,
              active && state.mode === "overlay"
                ? "conic-gradient(#1c5460,#c09a3c,#fdb0b8,#1c5460)"
                : SURFACE_TINTS[k % SURFACE_TINTS.length],
              true,
              !state.hidden.includes(surface.name),
              (event) => {
                const away = alone && shown.length > 0 && !sceneModel.samePlane(surface.name, shown[0].name);
                if (away && !event.shiftKey) session.showPlane(surface.name);
                else set({ hidden: toggle(state.hidden, surface.name) });
              },
              `${surface.label} ${state.hidden.includes(surface.name) ? "is hidden " : ""}(click: show or hide; double-click: bring to the front; Shift: show with those of other planes)`,
            );
            item.addEventListener("dblclick", () => set({ active: surface.name, hidden: state.hidden.filter((n) => n !== surface.name) }));
            item.classList.toggle("active", active);
            item.classList.toggle("away", alone && shown.length > 0 && !sceneModel.samePlane(surface.name, shown[0].name));
            return item;
          })
        : []),
      ...sceneModel
        .paths(state)
        .map(({ path, color }) =>
          legendButton(
            path.label || path.name,
            color,
            false,
            !state.hiddenPaths.includes(path.name),
            () => set({ hiddenPaths: toggle(state.hiddenPaths, path.name) }),
            `${path.label || path.name}: show or hide`,
          ),
        ),
    );
    const beta = shown[0]?.beta ?? [];
    const projected = sceneModel
      .paths(state)
      .filter(({ path }) => !state.hiddenPaths.includes(path.name) && offPlaneFlags(path, [beta[0], beta[beta.length - 1]]));
    if (projected.length) this.element.append(h("p", {}, "dashed: the path's shadow, far off the plane"));
    this.element.hidden = !this.element.childElementCount;
  }
}

function legendButton(
  text: string,
  color: string,
  area: boolean,
  shown: boolean,
  press: (event: MouseEvent) => void,
  title: string,
): HTMLButtonElement {
  return h(
    "button",
    { type: "button", "aria-pressed": String(shown), title, onclick: press },
    h("i", { class: area ? "area" : "", style: `background:${color}` }),
    h("span", {}, text),
  );
}

function toggle(list: string[], name: string): string[] {
  return list.includes(name) ? list.filter((other) => other !== name) : [...list, name];
}
