// Data of a scene: merged documents, differences, missing cells.
import { describe, expect, it } from "vitest";
import { difference, onSameGrid } from "../src/data/difference";
import { fillMissing, latticeStride } from "../src/data/fillMissing";
import { mergeDocuments } from "../src/data/mergeDocuments";
import { Surface } from "../src/data/surface";
import type { Document, PaneData } from "../src/data/types";
import { SceneModel } from "../src/sceneModel";
import { DEFAULTS } from "../src/state";
import { pathData, random, sceneData, surfaceData } from "./helpers";

const documentOf = (...scenes: Document["scenes"]): Document => ({ scenes, colormaps: {}, theme: null, view: {}, warnings: [] });

describe("merged documents", () => {
  const pane = { kind: "surface", surfaces: ["s"], paths: [], curves: [], areas: [], quantity: "loss", color: null } as unknown as PaneData;
  const open = documentOf(sceneData({ surfaces: [surfaceData("s", 3, 4)], panes: [pane], meta: { planes: { s: { seed: 0 } } } }));
  const paths = [pathData("p", [0, 1])];
  const other = documentOf(sceneData({ surfaces: [surfaceData("s", 5, 2)], paths, meta: { planes: { s: { seed: 1 } } } }));

  it("keep names, planes and paths apart, and the inputs as they were", () => {
    const before = structuredClone(open);
    const twice = mergeDocuments(mergeDocuments(open, 0, other, "run"), 0, other, "run");
    const model = new SceneModel(twice.scenes[0]);
    const names = model.surfaces.map((s) => s.name);
    expect(names).toEqual(["s", "run: s", "run: s (2)"]);
    expect([model.samePlane(names[0], names[1]), model.samePlane(names[1], names[2])]).toEqual([false, true]);
    expect(twice.scenes[0].paths.map((p) => [p.name, p.surface])).toEqual([["run: p", "run: s"], ["run: p (2)", "run: s (2)"]]);
    expect(twice.scenes[0].panes[0].surfaces).toEqual(names);
    expect(open).toEqual(before);
  });
});

describe("differences", () => {
  it("of a surface from itself are zero, and antisymmetric", () => {
    const [a, b] = [new Surface(surfaceData("a", 4, 7, (x, y) => x * y)), new Surface(surfaceData("b", 4, 7, (x, y) => x - y))];
    expect(Array.from(difference(a, a).frameValues("loss", 0)).every((v) => v === 0)).toBe(true);
    const [forward, backward] = [difference(a, b), difference(b, a)].map((d) => d.frameValues("loss", 0));
    for (let k = 0; k < forward.length; k++) expect(forward[k]).toBe(-backward[k] + 0);
  });

  it("between grids are those of the bilinear interpolation", () => {
    const [a, b] = [new Surface(surfaceData("a", 9, 6, (x, y) => x * y + 1)), new Surface(surfaceData("b", 3, 4, (x, y) => x * y))];
    expect(onSameGrid(a, b)).toBe(false);
    for (const v of Array.from(difference(a, b).frameValues("loss", 0))) expect(v).toBeCloseTo(1, 6);
  });

  it("are computed only where both surfaces are", () => {
    const mask = (missing: number) => ({ data: Uint8Array.from({ length: 6 }, (_, k) => (k === missing ? 0 : 1)), shape: [2, 3] });
    const [a, b] = [1, 4].map((missing) => new Surface({ ...surfaceData("s", 2, 3), done: mask(missing) }));
    expect(Array.from(difference(a, b).doneMask!)).toEqual([1, 0, 1, 1, 0, 1]);
  });

  it("have a scale that is centered on zero", () => {
    const scene = sceneData({ surfaces: [surfaceData("a", 3, 3, (x) => 2 * x), surfaceData("b", 3, 3, () => 0.5)] });
    const model = new SceneModel(scene);
    const state = { ...DEFAULTS, mode: "difference" as const };
    const scale = model.scale(model.drawn(state), state);
    expect([scale.low, scale.high]).toEqual([-2.5, 2.5]);
  });
});

describe("missing cells", () => {
  it("leave the computed ones alone, bit by bit, whatever is missing", () => {
    const next = random(23);
    for (const [na, nb] of [[5, 8], [9, 4], [16, 17]]) {
      const values = Float32Array.from({ length: na * nb }, () => 4 * next() - 2);
      const mask = Uint8Array.from(values, () => (next() < 0.3 ? 1 : 0));
      mask[0] = 1;
      const filled = values.map((v, k) => (mask[k] ? v : NaN));
      fillMissing(filled, mask, na, nb);
      const [low, high] = [Math.min(...values.filter((_, k) => mask[k])), Math.max(...values.filter((_, k) => mask[k]))];
      filled.forEach((v, k) => {
        if (mask[k]) expect(v).toBe(values[k]);
        expect(v).toBeGreaterThanOrEqual(low - 1e-5);
        expect(v).toBeLessThanOrEqual(high + 1e-5);
      });
    }
  });

  it("between a complete lattice are bilinear: exact for xy", () => {
    const [na, nb] = [9, 5];
    const f = (k: number) => Math.floor(k / nb) * (k % nb);
    const mask = Uint8Array.from({ length: na * nb }, (_, k) => (Math.floor(k / nb) % 2 === 0 && (k % nb) % 2 === 0 ? 1 : 0));
    const values = Float32Array.from(mask, (known, k) => (known ? f(k) : NaN));
    expect(latticeStride(values, mask, na, nb)).toBe(2);
    fillMissing(values, mask, na, nb);
    values.forEach((v, k) => expect(v).toBeCloseTo(f(k), 5));
  });
});

describe("the clipped fraction", () => {
  it("counts finite computed cells above the level", () => {
    const data = surfaceData("s", 2, 5);
    (data.fields.loss.values.data as Float32Array).set([0, 1, 2, 3, 4, 5, NaN, Infinity, 8, 9]);
    const surface = new Surface({ ...data, done: { data: Uint8Array.from([1, 1, 1, 1, 1, 1, 1, 1, 1, 0]), shape: [2, 5] } });
    const model = new SceneModel(sceneData());
    expect(model.clippedFraction(surface, { ...DEFAULTS, clip: 3.5 })).toBeCloseTo(4 / 8, 12); // 4, 5, ∞, 8 of eight numbers
    expect(model.clippedFraction(surface, DEFAULTS)).toBe(0);
  });
});
