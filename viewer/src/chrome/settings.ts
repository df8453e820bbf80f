// Settings panel: height and color quantities, drawing style, comparison mode, camera presets.
import { button, h, select, slider } from "../dom/elements";
import { denormalize, makeScale, normalize } from "../math/scale";
import { formatNumber } from "../math/ticks";
import { hasStandardErrors } from "../overlay/outlines";
import { jointRange } from "../sceneModel";
import type { Session } from "../session";
import type { ViewState } from "../state";
import type { Actions } from "./toolbar";

export function settingsPanel(session: Session, actions: Actions): HTMLElement {
  const { state, sceneModel } = session;
  const set = (change: Partial<ViewState>) => actions.set(change);
  const label = (quantity: string) => sceneModel.surfaces.find((s) => s.field(quantity))?.field(quantity)?.label || quantity;
  const quantities = sceneModel.quantities.map((q): [string, string] => [q, label(q)]);
  const maps = Object.keys(session.document.colormaps).map((m): [string, string] => [m, m]);
  const several = sceneModel.surfaces.length > 1;
  const panel = h(
    "div",
    { class: "panel", role: "dialog", "aria-label": "Settings" },
    h("h2", {}, "Height and color"),
    quantities.length > 1 &&
      settingRow(
        "Height",
        select("Height shows", quantities, state.quantity, (quantity) => set({ quantity, clip: null, colorRange: null })),
      ),
    quantities.length > 1 &&
      settingRow(
        "Color",
        select("Color shows", [["", "same as height"], ...quantities], state.colorBy, (colorBy) => set({ colorBy, colorRange: null })),
      ),
    settingRow(
      "Colormap",
      select("Colormap", [["", "default"], ...maps], state.colormap, (colormap) => set({ colormap })),
    ),
    settingRow(
      "Scale",
      select(
        "Scale of height",
        [
          ["linear", "linear"],
          ["log", "logarithmic"],
        ],
        state.log ? "log" : "linear",
        (v) => set({ log: v === "log" }),
      ),
    ),
    settingRow(
      "Exaggeration",
      slider("Vertical exaggeration", 0.1, 2.5, 0.05, state.exaggeration, (exaggeration) => set({ exaggeration })),
    ),
    clipRow(session, set),
    h("h2", {}, "Drawing"),
    settingRow(
      "Surface",
      select(
        "Surface style",
        [
          ["solid", "solid"],
          ["mesh", "solid with mesh"],
          ["wire", "wireframe"],
        ],
        state.style,
        (style) => set({ style: style as ViewState["style"] }),
      ),
    ),
    settingRow(
      "Contours",
      slider("Contour interval", 0.4, 3, 0.1, state.interval, (interval) => set({ interval, contours: true })),
    ),
    settingRow(
      "Light",
      slider("Direction of light, degrees", -180, 180, 5, state.light, (light) => set({ light })),
    ),
    hasStandardErrors(session) &&
      settingRow(
        "Noise",
        checkbox("Outline what samples do not tell apart from the lowest value", state.noise, (noise) => set({ noise })),
      ),
    settingRow(
      "Floor map",
      checkbox("Map on the floor", state.floor, (floor) => set({ floor })),
    ),
    settingRow(
      "Contour pane",
      select(
        "Contour pane",
        [
          ["inset", "inset"],
          ["side", "beside"],
          ["full", "full"],
          ["off", "off"],
        ],
        state.map,
        (map) => set({ map: map as ViewState["map"] }),
      ),
    ),
    settingRow(
      "Projection",
      select(
        "Projection",
        [
          ["perspective", "perspective"],
          ["orthographic", "orthographic"],
        ],
        state.camera.ortho ? "orthographic" : "perspective",
        (v) => set({ camera: { ...session.state.camera, ortho: v === "orthographic" } }),
      ),
    ),
    several && h("h2", {}, "Compare"),
    several &&
      settingRow(
        "Show",
        select(
          "Comparison",
          [
            ["overlay", "overlay"],
            ["side", "side by side"],
            ["swipe", "swipe"],
            ["difference", "difference"],
          ],
          state.mode,
          (mode) => set({ mode: mode as ViewState["mode"] }),
        ),
      ),
    several &&
      settingRow(
        "One scale",
        checkbox("Same scale for all surfaces", state.shared, (shared) => set({ shared })),
      ),
    h("h2", {}, "Camera"),
    h(
      "div",
      { class: "buttons" },
      ...["top", "isometric", "front", "side", "home"].map((name) => button(name, `View: ${name}`, () => actions.preset(name))),
    ),
  );
  return panel;
}

/** Slider of the clip level, on a log scale so that low values are easy to reach. */
function clipRow(session: Session, set: (change: Partial<ViewState>) => void): HTMLElement {
  const { state } = session;
  const range = jointRange(session.sceneModel.visible(state), state.quantity);
  const scale = makeScale(range.low, range.high, range.positive);
  const shown = h("span", {}, state.clip === null ? "none" : formatNumber(state.clip));
  const control = slider("Clip heights above", 0.02, 1, 0.002, state.clip === null ? 1 : normalize(scale, state.clip, 1), (at) => {
    const clip = at >= 1 ? null : denormalize(scale, at, 1);
    shown.textContent = clip === null ? "none" : formatNumber(clip);
    set({ clip });
  });
  return settingRow("Clip above", h("span", { style: "display:grid;grid-template-columns:1fr 46px;gap:6px" }, control, shown));
}

function settingRow(text: string, control: HTMLElement): HTMLElement {
  return h("label", { class: "row" }, h("span", {}, text), control);
}

function checkbox(label: string, value: boolean, change: (value: boolean) => void): HTMLElement {
  const box = h("input", { type: "checkbox", "aria-label": label, onchange: () => change(box.checked) });
  box.checked = value;
  return h("span", {}, box);
}
