// Readers of dropped files.
import { describe, expect, it } from "vitest";
import { mergeDocuments } from "../src/data/mergeDocuments";
import { documentInPage, openFile, surfaceFromCsv, viewInPng } from "../src/data/openFile";
import type { Document, SceneData, SurfaceData } from "../src/data/types";
import { insertTextChunk, VIEW_KEY } from "../src/export/png";

const array = (...data: number[]) => ({ data: Float64Array.from(data), shape: [data.length] });
const surface = (name: string): SurfaceData => ({
  name,
  alpha: array(-1, 1),
  beta: array(-1, 1),
  label: name,
  done: null,
  alpha_label: "α",
  beta_label: "β",
  origin: null,
  notes: [],
  fields: {},
});
const page = (...names: string[]): Document => ({
  colormaps: {},
  theme: null,
  view: {},
  warnings: [],
  scenes: [
    {
      panes: [{ kind: "surface", surfaces: names, paths: [] }],
      surfaces: names.map(surface),
      paths: [],
      arrows: [],
      curves: [],
      areas: [],
      colors: [],
      timeline: null,
      title: "",
      subtitle: "",
      notes: [],
      meta: { planes: Object.fromEntries(names.map((n) => [n, { seed: n }])) },
    } as unknown as SceneData,
  ],
});

describe("a dropped file", () => {
  it("is laid over with names of its own and planes told apart", () => {
    const both = mergeDocuments(mergeDocuments(page("a"), 0, page("a"), "x"), 0, page("a"), "x").scenes[0];
    expect(both.surfaces.map((s) => s.name)).toEqual(["a", "x: a", "x: a (2)"]);
    expect(both.panes[0].surfaces).toEqual(["a", "x: a", "x: a (2)"]);
    expect(both.meta.planes).toEqual({ a: { seed: "a" }, "x: a": { seed: "a" }, "x: a (2)": { seed: "a" } });
  });

  it("gives the view a picture carries, and says so where it carries none", () => {
    const png = Uint8Array.from(
      atob("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="),
      (c) => c.charCodeAt(0),
    );
    expect(viewInPng(insertTextChunk(png, VIEW_KEY, "#v=%7B%22log%22%3Atrue%7D"))).toBe("#v=%7B%22log%22%3Atrue%7D");
    expect(() => viewInPng(png)).toThrow("carries no view");
  });

  it("may be a table in any order of rows", () => {
    const read = surfaceFromCsv("alpha,beta,loss,computed\n1,0,4,1\n0,2,nan,0\n0,0,1,1\n1,2,inf,1\n");
    expect(Array.from(read.alpha.data)).toEqual([0, 1]);
    expect(Array.from(read.fields.loss.values.data)).toEqual([1, NaN, 4, Infinity]);
    expect(Array.from(read.done!.data)).toEqual([1, 0, 1, 1]);
  });

  it("is refused in words when it is something else", async () => {
    await expect(openFile("a.docx", new Uint8Array(3))).rejects.toThrow("none of the files");
    await expect(documentInPage("<html><script>alert(1)</script></html>")).rejects.toThrow("no Lossatlas data");
    expect(() => surfaceFromCsv("x,y\n1,2")).toThrow("no columns");
  });
});
