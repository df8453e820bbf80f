// Monotone cubic and bilinear interpolation against closed forms.
import { describe, expect, it } from "vitest";
import { bilinear, fractionalIndex, refineAxis, refineGrid, refineLine } from "../src/math/interpolation";
import { axis, random, sampled } from "./helpers";

function refined(values: ArrayLike<number>, na: number, nb: number, factor: number): { values: Float32Array; ma: number; mb: number } {
  const [a, b] = [refineAxis(axis(na), factor), refineAxis(axis(nb), factor)];
  const [ma, mb] = [a.cell.length, b.cell.length];
  const out = new Float32Array(ma * mb);
  refineGrid(Float32Array.from(values), na, nb, a, b, new Float32Array(na * mb), out);
  return { values: out, ma, mb };
}

function refinedLine(values: number[], factor: number): Float32Array {
  const out = new Float32Array((values.length - 1) * factor + 1);
  refineLine(Float32Array.from(values), 0, 1, values.length, refineAxis(axis(values.length), factor), out, 0, 1);
  return out;
}

describe("the monotone cubic", () => {
  it("reproduces a plane", () => {
    const [na, nb, factor] = [6, 9, 5];
    const plane = (a: number, b: number) => 0.3 + 2 * a - 0.7 * b;
    const { values, ma, mb } = refined(sampled(axis(na), axis(nb), plane), na, nb, factor);
    sampled(axis(ma), axis(mb), plane).forEach((expected, k) => expect(Math.abs(values[k] - expected)).toBeLessThan(1e-6)); // float32
  });

  it("meets a parabola with the error that its harmonic slopes give", () => {
    // f(k) = k², slopes 2k - 1/(2k): in the middle of cell k the cubic lies 1/(16 k (k + 1)) below the parabola.
    const values = refinedLine(Array.from({ length: 8 }, (_, k) => k * k), 2);
    for (let k = 1; k < 6; k++) expect(values[2 * k + 1]).toBeCloseTo((k + 0.5) ** 2 - 1 / (16 * k * (k + 1)), 5);
  });

  it("never leaves the range of a cell's four corners", () => {
    const [na, nb, factor] = [8, 5, 6];
    const next = random(3);
    const source = Float32Array.from({ length: na * nb }, () => 10 * next() ** 4);
    const { values, ma, mb } = refined(source, na, nb, factor);
    for (let i = 0; i < ma; i++) for (let j = 0; j < mb; j++) {
      const [ci, cj] = [Math.min(Math.floor(i / factor), na - 2), Math.min(Math.floor(j / factor), nb - 2)];
      const corners = [0, 1, nb, nb + 1].map((step) => source[ci * nb + cj + step]);
      expect(values[i * mb + j]).toBeGreaterThanOrEqual(Math.min(...corners) - 1e-5);
      expect(values[i * mb + j]).toBeLessThanOrEqual(Math.max(...corners) + 1e-5);
    }
  });

  it("keeps rising data rising", () => {
    const next = random(11);
    let sum = 0;
    const values = refinedLine(Array.from({ length: 12 }, () => (sum += next() ** 6)), 8);
    for (let k = 1; k < values.length; k++) expect(values[k]).toBeGreaterThanOrEqual(values[k - 1] - 1e-6);
  });

  it("spreads a hole no farther than the cells beside it", () => {
    const values = refinedLine([0, 1, 2, NaN, 4, 5, 6], 4);
    values.forEach((v, k) => (k > 8 && k < 16 ? expect(v).toBeNaN() : expect(v).toBeCloseTo(k / 4, 6)));
  });

  it("converges with at least the second order away from extrema", () => {
    const errorAt = (n: number) => {
      const values = refinedLine(Array.from(axis(n, 0.2, 1.2), Math.sin), 2);
      return Math.max(...axis(values.length, 0.2, 1.2).slice(2, -2).map((x, k) => Math.abs(values[k + 2] - Math.sin(x))));
    };
    expect(errorAt(6) / errorAt(11)).toBeGreaterThan(3.5); // half the step: a quarter of the error
  });
});

describe("bilinear interpolation", () => {
  it("is exact for a + bx + cy + dxy, and clamped to the grid", () => {
    const f = (x: number, y: number) => 1 - 2 * x + 0.5 * y + 0.25 * x * y;
    const [na, nb] = [4, 6];
    const grid = sampled(axis(na, 0, na - 1), axis(nb, 0, nb - 1), f);
    const next = random(5);
    for (let k = 0; k < 40; k++) {
      const [x, y] = [next() * (na - 1), next() * (nb - 1)];
      expect(bilinear(grid, na, nb, x, y)).toBeCloseTo(f(x, y), 12);
    }
    expect(bilinear(grid, na, nb, -3, 99)).toBe(f(0, nb - 1));
  });

  it("finds fractional indices that lead back to the value", () => {
    for (const uneven of [[-2, -1, 0.5, 4], [4, 0.5, -1, -2]]) {
      for (const value of [-2, -1.3, 0, 3.9, 4]) {
        const index = fractionalIndex(uneven, value);
        const k = Math.min(Math.floor(index), 2);
        expect(uneven[k] + (uneven[k + 1] - uneven[k]) * (index - k)).toBeCloseTo(value, 12);
      }
      expect(fractionalIndex(uneven, 4.1)).toBeNaN();
    }
  });
});
