// Surface: drawn vertex data, missing cells, differences, value ranges.
import { describe, expect, it } from "vitest";
import { suitsLogScale } from "../src/data/automaticScale";
import { difference } from "../src/data/difference";
import { fillMissing, latticeStride } from "../src/data/fillMissing";
import { HOLE, Surface, VertexData } from "../src/data/surface";
import type { SurfaceData } from "../src/data/types";
import { fractionalIndex, refineAxis, refineGrid } from "../src/math/interpolation";

const line = (n: number, from = -1, to = 1) => Float64Array.from({ length: n }, (_, k) => from + ((to - from) * k) / (n - 1));

function surface(na: number, nb: number, f: (a: number, b: number) => number, done?: Uint8Array): Surface {
  const [alpha, beta] = [line(na), line(nb)];
  const values = new Float32Array(na * nb);
  alpha.forEach((a, i) => beta.forEach((b, j) => (values[i * nb + j] = f(a, b))));
  const data: SurfaceData = {
    name: "s",
    alpha: { data: alpha, shape: [na] },
    beta: { data: beta, shape: [nb] },
    label: "s",
    done: done ? { data: done, shape: [na, nb] } : null,
    alpha_label: "α",
    beta_label: "β",
    origin: null,
    notes: [],
    fields: { loss: { values: { data: values, shape: [na, nb] }, label: "loss", units: "", standard_error: null } },
  };
  return new Surface(data);
}

describe("vertex data", () => {
  it("passes through every computed value and stays between its neighbors", () => {
    const [na, nb, factor] = [7, 5, 4];
    const source = Float32Array.from({ length: na * nb }, (_, k) => Math.sin(k * 1.7) * 3);
    const [a, b] = [refineAxis(line(na), factor), refineAxis(line(nb), factor)];
    const [ma, mb] = [a.cell.length, b.cell.length];
    const out = new Float32Array(ma * mb);
    refineGrid(source, na, nb, a, b, new Float32Array(na * mb), out);
    for (let i = 0; i < na; i++) for (let j = 0; j < nb; j++) expect(out[i * factor * mb + j * factor]).toBeCloseTo(source[i * nb + j], 5);
    for (let j = 0; j < mb - 1; j++) {
      const [low, high] = [source[Math.floor(j / factor)], source[Math.floor(j / factor) + 1]];
      expect(out[j]).toBeGreaterThanOrEqual(Math.min(low, high) - 1e-5);
      expect(out[j]).toBeLessThanOrEqual(Math.max(low, high) + 1e-5);
    }
  });

  it("has the true slope of a plane, and marks holes", () => {
    const s = surface(9, 6, (a, b) => 2 * a - 3 * b);
    (s.field("loss")!.values.data as Float32Array)[3 * 6 + 2] = NaN;
    const vertices = new VertexData(s);
    vertices.load("loss", 0, s.alphaAxis.positions, s.betaAxis.positions);
    const mb = s.betaAxis.cell.length;
    const far = 4 * (8 * s.refinement[0] * mb + 5 * s.refinement[1]);
    expect(vertices.packed[far + 1]).toBeCloseTo(2, 4);
    expect(vertices.packed[far + 2]).toBeCloseTo(-3, 4);
    expect(vertices.packed[4 * (3 * s.refinement[0] * mb + 2 * s.refinement[1]) + 3]).toBe(HOLE);
  });
});

describe("missing cells", () => {
  it("are filled bilinearly between a complete lattice", () => {
    const [na, nb] = [10, 13];
    const known = new Uint8Array(na * nb);
    const on = (k: number, n: number) => k % 4 === 0 || k === n - 1;
    for (let i = 0; i < na; i++) for (let j = 0; j < nb; j++) known[i * nb + j] = on(i, na) && on(j, nb) ? 1 : 0;
    const values = Float32Array.from({ length: na * nb }, (_, k) => (known[k] ? Math.floor(k / nb) * 2 + (k % nb) : NaN));
    expect(latticeStride(values, known, na, nb)).toBe(4);
    fillMissing(values, known, na, nb);
    values.forEach((v, k) => expect(v).toBeCloseTo(Math.floor(k / nb) * 2 + (k % nb), 4));
  });

  it("are filled with finite values from a single known cell", () => {
    const known = new Uint8Array(35);
    known[17] = 1;
    const values = new Float32Array(35).fill(NaN);
    values[17] = 4;
    fillMissing(values, known, 5, 7);
    expect(Array.from(values).every((v) => v === 4)).toBe(true);
  });
});

describe("difference", () => {
  it("is exact on one grid and interpolated on another", () => {
    const one = surface(5, 7, (a, b) => a + b);
    const same = difference(one, surface(5, 7, (a) => a));
    const other = difference(one, surface(9, 4, (a) => a));
    for (const d of [same, other]) Array.from(d.frameValues("loss", 0)).forEach((v, k) => expect(v).toBeCloseTo(one.beta[k % 7], 5));
  });

  it("finds places on rising and falling axes", () => {
    expect(fractionalIndex([0, 1, 3], 2)).toBe(1.5);
    expect(fractionalIndex([3, 1, 0], 2)).toBe(0.5);
    expect(fractionalIndex([0, 1, 3], 3.5)).toBeNaN();
  });
});

describe("ranges", () => {
  it("leave out what is not finite or not computed", () => {
    const done = new Uint8Array(6).fill(1);
    done[5] = 0;
    const s = surface(2, 3, (a, b) => a + b, done);
    (s.field("loss")!.values.data as Float32Array)[0] = Infinity;
    expect(s.range("loss")).toEqual({ low: -1, high: 1, positive: 1 });
    expect(s.minimum("loss", 0)).toEqual({ alpha: -1, beta: 0, value: -1 });
  });
});

describe("the automatic scale", () => {
  const bowl = surface(9, 21, (a, b) => 0.01 + a * a + b * b);
  const valley = surface(9, 21, (a, b) => 0.01 + (a * a + b * b) ** 2);

  it("is a logarithm where a quarter of positive values lie in the lowest tenth of a wide range, as in Python", () => {
    expect(suitsLogScale([bowl], "loss")).toBe(false);
    expect(suitsLogScale([valley], "loss")).toBe(true);
    expect(suitsLogScale([surface(9, 21, (a, b) => 0.5 + (a * a + b * b) ** 2)], "loss")).toBe(false);
  });

  it("is linear for zero and negative values, estimates on a linear scale, and quantities that are not there", () => {
    expect(suitsLogScale([surface(9, 21, (a, b) => (a * a + b * b) ** 2)], "loss")).toBe(false);
    expect(suitsLogScale([surface(9, 21, (a, b) => (a * a + b * b) ** 2 - 1)], "loss")).toBe(false);
    const provenance = { loss: "", data: "", plane: "", archive: "", name: "", estimated_on: "linear" };
    expect(suitsLogScale([new Surface({ ...valley.data, provenance })], "loss")).toBe(false);
    expect(suitsLogScale([valley], "accuracy")).toBe(false);
  });
});
