// Settings panel: height and color quantities, drawing style, comparison mode, camera presets.
import { button, h, select, slider } from "../dom/elements";
import { denormalize, makeScale, normalize } from "../math/scale";
import { formatNumber } from "../math/ticks";
import { hasStandardErrors } from "../overlay/outlines";
import { jointRange } from "../sceneModel";
import type { Session } from "../session";
import type { ViewState } from "../state";
import type { Actions } from "./toolbar";

type SetState = (change: Partial<ViewState>) => void;
type Options = [value: string, label: string][];

const SCALES: Options = [["linear", "linear"], ["log", "logarithmic"]];
const STYLES: Options = [["solid", "solid"], ["mesh", "solid with mesh"], ["wire", "wireframe"]];
const MAPS: Options = [["inset", "inset"], ["side", "beside"], ["full", "full"], ["off", "off"]];
const PROJECTIONS: Options = [["perspective", "perspective"], ["orthographic", "orthographic"]];
const MODES: Options = [["overlay", "overlay"], ["side", "side by side"], ["swipe", "swipe"], ["difference", "difference"]];
const PRESETS = ["top", "isometric", "front", "side", "home"];

export function settingsPanel(session: Session, actions: Actions): HTMLElement {
  const set = (change: Partial<ViewState>) => actions.set(change);
  return h("div", { class: "panel", role: "dialog", "aria-label": "Settings" },
    h("h2", {}, "Height and color"), ...heightRows(session, set),
    h("h2", {}, "Drawing"), ...drawingRows(session, set),
    ...(session.sceneModel.surfaces.length > 1 ? [h("h2", {}, "Compare"), ...comparisonRows(session, set)] : []),
    h("h2", {}, "Camera"),
    h("div", { class: "buttons" }, ...PRESETS.map((name) => button(name, `View: ${name}`, () => actions.preset(name)))),
  );
}

function heightRows(session: Session, set: SetState): HTMLElement[] {
  const { state, sceneModel } = session;
  const label = (quantity: string) => sceneModel.surfaces.find((s) => s.field(quantity))?.field(quantity)?.label || quantity;
  const quantities = sceneModel.quantities.map((q): [string, string] => [q, label(q)]);
  const maps = Object.keys(session.document.colormaps).map((m): [string, string] => [m, m]);
  const height = select("Height shows", quantities, state.quantity, (quantity) => set({ quantity, clip: null, colorRange: null }));
  const colors: Options = [["", "same as height"], ...quantities];
  const color = select("Color shows", colors, state.colorBy, (colorBy) => set({ colorBy, colorRange: null }));
  const exaggeration = slider("Vertical exaggeration", 0.1, 2.5, 0.05, state.exaggeration, (value) => set({ exaggeration: value }));
  return [
    ...(quantities.length > 1 ? [settingRow("Height", height), settingRow("Color", color)] : []),
    settingRow("Colormap", select("Colormap", [["", "default"], ...maps], state.colormap, (colormap) => set({ colormap }))),
    settingRow("Scale", select("Scale of height", SCALES, state.log ? "log" : "linear", (v) => set({ log: v === "log" }))),
    settingRow("Exaggeration", exaggeration),
    clipRow(session, set),
  ];
}

function drawingRows(session: Session, set: SetState): HTMLElement[] {
  const { state } = session;
  const interval = slider("Contour interval", 0.4, 3, 0.1, state.interval, (value) => set({ interval: value, contours: true }));
  const noise = checkbox("Outline what samples do not tell apart from the lowest value", state.noise, (on) => set({ noise: on }));
  const setProjection = (v: string) => set({ camera: { ...session.state.camera, ortho: v === "orthographic" } });
  const projection = select("Projection", PROJECTIONS, state.camera.ortho ? "orthographic" : "perspective", setProjection);
  return [
    settingRow("Surface", select("Surface style", STYLES, state.style, (style) => set({ style: style as ViewState["style"] }))),
    settingRow("Contours", interval),
    settingRow("Light", slider("Direction of light, degrees", -180, 180, 5, state.light, (light) => set({ light }))),
    ...(hasStandardErrors(session) ? [settingRow("Noise", noise)] : []),
    settingRow("Floor map", checkbox("Map on the floor", state.floor, (floor) => set({ floor }))),
    settingRow("Contour pane", select("Contour pane", MAPS, state.map, (map) => set({ map: map as ViewState["map"] }))),
    settingRow("Projection", projection),
  ];
}

function comparisonRows({ state }: Session, set: SetState): HTMLElement[] {
  return [
    settingRow("Show", select("Comparison", MODES, state.mode, (mode) => set({ mode: mode as ViewState["mode"] }))),
    settingRow("One scale", checkbox("Same scale for all surfaces", state.shared, (shared) => set({ shared }))),
  ];
}

/** Slider of the clip level, on a log scale so that low values are easy to reach. */
function clipRow(session: Session, set: SetState): HTMLElement {
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
