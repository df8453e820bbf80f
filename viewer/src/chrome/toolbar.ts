// Toolbar at the top right: the most used view settings, each with its keyboard shortcut.
import { button, h } from "../dom/elements";
import type { Session } from "../session";
import type { ViewState } from "../state";

export interface Actions {
  set(change: Partial<ViewState>): void;
  preset(name: string): void;
  open(panel: string): void;
  toggleTheme(): void;
}

const STYLES: ViewState["style"][] = ["solid", "mesh", "wire"];
export const nextStyle = (style: ViewState["style"]) => STYLES[(STYLES.indexOf(style) + 1) % 3];

const MAPS: ViewState["map"][] = ["inset", "side", "full", "off"];
export const nextMap = (map: ViewState["map"]) => MAPS[(MAPS.indexOf(map) + 1) % 4];

export class Toolbar {
  readonly element: HTMLElement;
  private readonly toggles: [HTMLButtonElement, (state: ViewState) => boolean][];

  constructor(session: Session, actions: Actions) {
    const state = () => session.state;
    const log = button("log", "Logarithmic height (L)", () => actions.set({ log: !state().log }));
    const style = button("mesh", "Solid, mesh, wireframe (W)", () => actions.set({ style: nextStyle(state().style) }));
    const contours = button("contours", "Contour lines (C)", () => actions.set({ contours: !state().contours }));
    const map = button("map", "Contour pane: inset, beside, full, off (M)", () => actions.set({ map: nextMap(state().map) }));
    const home = button("home", "Reset the view (0 or double-click)", () => actions.preset("home"));
    const panels = (["settings", "share", "info", "help"] as const).map((name) => {
      const text = { settings: "Settings (S)", share: "Export and share (E)", info: "About this landscape (I)", help: "Keys (?)" }[name];
      return button(name, text, () => actions.open(name), { "aria-expanded": "false", "data-panel": name });
    });
    const theme = button("theme", "Light or dark (T)", () => actions.toggleTheme());
    this.toggles = [[log, (s) => s.log], [style, (s) => s.style !== "solid"], [contours, (s) => s.contours], [map, (s) => s.map !== "off"]];
    this.element = h("div", { class: "tools", role: "toolbar", "aria-label": "View" }, home, log, style, contours, map, theme, ...panels);
  }

  update(state: ViewState, open: string | null): void {
    for (const [element, on] of this.toggles) element.setAttribute("aria-pressed", String(on(state)));
    for (const element of this.element.querySelectorAll<HTMLElement>("[data-panel]"))
      element.setAttribute("aria-expanded", String(element.dataset.panel === open));
  }
}
