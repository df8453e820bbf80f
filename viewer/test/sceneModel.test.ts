// Scene model and session: planes, visibility, paths, noise, text of labels.
import { describe, expect, it } from "vitest";
import { notes } from "../src/chrome/about";
import { captionLines, metadataJson } from "../src/chrome/caption";
import { OFF_PLANE_FRACTION, offPlaneFlags } from "../src/data/offPlane";
import { Surface } from "../src/data/surface";
import type { PathData, SceneData, SurfaceData } from "../src/data/types";
import { texToText } from "../src/math/texToText";
import { excessOverNoise } from "../src/overlay/outlines";
import { binEdges } from "../src/plots/linePlot";
import { SceneModel } from "../src/sceneModel";
import { Session } from "../src/session";

const array = (...data: number[]) => ({ data: Float64Array.from(data), shape: [data.length] });
const surface = (name: string, reach = 1): SurfaceData => ({
  name,
  alpha: array(-reach, reach),
  beta: array(-1, 1),
  label: name,
  done: null,
  alpha_label: "α",
  beta_label: "β",
  origin: null,
  notes: [],
  fields: { loss: { values: { data: Float32Array.from([1, 2, 3, 4]), shape: [2, 2] }, label: "loss", units: "", standard_error: null } },
});
const path = (name: string, on: string | null, steps = 3): PathData => ({
  name,
  alpha: array(...Array(steps).fill(0)),
  beta: array(...Array(steps).fill(0)),
  step: array(...Array(steps).keys()),
  label: name,
  epoch: null,
  loss: null,
  accuracy: null,
  plane_loss: null,
  residual: null,
  stem: null,
  surface: on,
  color: null,
  dash: "solid",
  marks: [],
  notes: [],
});
const pane = (surfaces: string[]) => ({
  kind: "surface",
  surfaces,
  paths: [],
  curves: [],
  areas: [],
  camera: { elevation: 30, azimuth: 0, zoom: 1 },
  color: null,
  quantity: "loss",
});
const scene = {
  panes: [pane(["a", "b"])],
  surfaces: [surface("a"), surface("b"), surface("c", 5)],
  paths: [path("on a", "a"), path("on c", "c", 7)],
  colors: [],
  timeline: null,
  title: "",
  subtitle: "",
  notes: [],
  arrows: [],
  curves: [],
  areas: [],
  meta: { planes: { a: { seed: 0 }, b: { seed: 0 }, c: { seed: 1 } } },
} as unknown as SceneData;

describe("surfaces on several planes", () => {
  const session = () => new Session({ scenes: [scene], colormaps: {}, theme: "light", view: {}, warnings: [] }, {});

  it("start with those the panes name, their window and the paths on their plane", () => {
    const { sceneModel, state, timeline } = session();
    expect(state.hidden).toEqual(["c"]);
    expect(sceneModel.windowSurfaces(state).map((s) => s.name)).toEqual(["a", "b"]);
    expect(sceneModel.paths(state).map((p) => p.path.name)).toEqual(["on a"]);
    expect(timeline.length).toBe(3);
  });

  it("are changed for those of another plane in one step", () => {
    const one = session();
    one.showPlane("c");
    expect(one.state.hidden).toEqual(["a", "b"]);
    expect(one.sceneModel.paths(one.state).map((p) => p.path.name)).toEqual(["on c"]);
    expect(one.timeline.length).toBe(7);
    expect(one.state.frame).toBe(6);
  });

  it("are one plane where a scene tells nothing of planes", () => {
    const silent = new SceneModel({ ...scene, meta: {} });
    expect(silent.samePlane("a", "c")).toBe(true);
  });
});

describe("a path off the plane", () => {
  it("is far beyond a share of the window, in units of its axis", () => {
    const stem = array(0, 2 * OFF_PLANE_FRACTION * 0.9, 2 * OFF_PLANE_FRACTION * 1.1);
    expect(Array.from(offPlaneFlags({ ...path("p", null), stem, residual: array(9, 9, 9) }, [-1, 1])!)).toEqual([0, 0, 1]);
    expect(offPlaneFlags({ ...path("p", null), stem: array(0, 0, 0.01) }, [-1, 1])).toBeNull();
    expect(offPlaneFlags(path("p", null), [-1, 1])).toBeNull();
    expect(Array.from(offPlaneFlags({ ...path("p", null), residual: array(0, 1e-9, 0.2) }, [-1, 1])!)).toEqual([0, 0, 1]);
  });
});

describe("formulas in labels", () => {
  it("become letters", () => {
    expect(texToText("$w_a$")).toBe("w_a");
    expect(texToText("ratio $\\lambda_{1} / \\lambda_{n}^2$ [1]")).toBe("ratio λ₁ / λ_n² [1]");
    expect(texToText("$\\mathrm{loss}$ costs 5 $")).toBe("loss costs 5 $");
  });
});

describe("noise", () => {
  const noisy = (values: number[], error: number[] | null, doubtful: number[] | null = null) =>
    new Surface({
      ...surface("n"),
      fields: {
        loss: {
          values: { data: Float32Array.from(values), shape: [2, 2] },
          label: "loss",
          units: "",
          standard_error: error && { data: Float32Array.from(error), shape: [2, 2] },
          doubtful: doubtful && { data: Uint8Array.from(doubtful), shape: [2, 2] },
        },
      },
    });

  it("holds what two standard errors of the difference from the lowest do not tell apart", () => {
    const above = excessOverNoise(noisy([1, 1.2, 1.4, NaN], [0.1, 0.1, 0.1, 0.1]), "loss")!;
    expect(above[0]).toBeLessThan(0);
    expect(above[1]).toBeCloseTo(0.2 - 2 * Math.hypot(0.1, 0.1), 5);
    expect(above[2]).toBeGreaterThan(0);
    expect(above[3]).toBeNaN();
  });

  it("follows what the archive says where it does, and is silent where nothing is known", () => {
    expect(Array.from(excessOverNoise(noisy([1, 2, 3, 4], null, [1, 0, 1, 0]), "loss")!)).toEqual([-1, 1, -1, 1]);
    expect(excessOverNoise(noisy([1, 2, 3, 4], null), "loss")).toBeNull();
  });
});

describe("histograms", () => {
  it("take edges as they are and set them between centers", () => {
    expect(Array.from(binEdges([0, 1, 3], 2))).toEqual([0, 1, 3]);
    expect(Array.from(binEdges([0, 1, 3], 3))).toEqual([-0.5, 0.5, 2, 4]);
  });
});

describe("notes", () => {
  const lines = [
    "axes: random",
    "standard error of a cell's loss up to 0.02 nats",
    "standard error of a cell's accuracy for all 60 samples up to 0.01",
  ];
  const field = surface("a").fields.loss;
  const one = { ...surface("a"), notes: lines, fields: { loss: field, accuracy: { ...field, label: "accuracy" }, loss_standard_error: field } };
  const scenes = [{ ...scene, panes: [pane(["a"])], surfaces: [one], paths: [] } as unknown as SceneData];
  const session = (quantity: string) => new Session({ scenes, colormaps: {}, theme: "light", view: {}, warnings: [] }, { quantity });

  it("tell the standard error of the quantity that is shown, and of no other", () => {
    expect(notes(session("loss"))).toEqual([lines[0], lines[1]]);
    expect(notes(session("accuracy"))).toEqual([lines[0], lines[2]]);
    expect(notes(session("loss_standard_error"))).toEqual([lines[0], lines[1]]);
  });

  const provenance = { loss: "cross-entropy", data: "60 samples", plane: "random directions", archive: "a.zarr", name: "one", estimated_on: "" };
  const few = { text: "from 60 samples the standard error is often too small", severity: 2 };
  const told = { ...one, provenance, fields: { ...one.fields, loss: { ...field, cautions: [few] } } };
  const open = (quantity: string, view = {}, data: object = told, more = {}) => {
    const opened = [{ ...scene, panes: [pane(["a"])], surfaces: [data], paths: [], title: "Größe", sources: { a: SOURCE }, ...more }];
    return new Session({ scenes: opened as unknown as SceneData[], colormaps: {}, theme: "light", view: {}, warnings: [], package: "1.2" }, { quantity, ...view });
  };
  const SOURCE = { archive: "a.zarr", surface: "one", sha256: "0123456789abcdef" };

  it("are at most a line and a line of caution at the foot, in the size that is asked for", () => {
    expect(captionLines(open("loss"))).toEqual(["Cross-entropy on 60 samples · random directions"]);
    expect(captionLines(open("loss", { noise: true }))).toEqual(["Cross-entropy on 60 samples · random directions", `Caution: ${few.text}`]);
    expect(captionLines(open("accuracy"))).toEqual(["Accuracy on 60 samples · random directions"]);
    expect(captionLines(open("accuracy", { caption: "full" }))).toEqual([`${lines[0]} · ${lines[2]}`]);
    expect(captionLines(open("loss", { caption: "none" }))).toEqual([]);
    expect(captionLines(open("loss", {}, told, { summary: "By hand", notes: ["CAUTION: not to scale"] }))).toEqual(["By hand", "Caution: not to scale"]);
  });

  it("tell what a clip hides: a fact where it is little, a caution where it is much, unless another caution matters more", () => {
    expect(captionLines(open("loss", { clip: 3.5, noise: true }))).toEqual([
      "Cross-entropy on 60 samples · random directions · 25 % of cells clipped above 3.5", `Caution: ${few.text}`,
    ]);
    expect(captionLines(open("accuracy", { clip: 2.5 }))[1]).toBe("Caution: 50 % of cells clipped above 2.5");
  });

  it("travel as one line of ASCII with the sources in exported pictures", () => {
    const text = metadataJson(open("loss"));
    expect(/^[\x20-\x7e]*$/.test(text)).toBe(true);
    expect(JSON.parse(text)).toEqual({
      format: "lossatlas-figure", title: "Größe", caption: [lines[0], lines[1]], sources: [SOURCE], version: "1.2",
    });
  });
});
