// Marching squares against lines and circles.
import { describe, expect, it } from "vitest";
import { contourIntervals, contourLevels, contourSegments, type Segment } from "../src/math/contour";
import { makeScale, transform } from "../src/math/scale";
import { axis, sampled } from "./helpers";

const length = (segments: Segment[]) => segments.reduce((sum, [i0, j0, i1, j1]) => sum + Math.hypot(i1 - i0, j1 - j0), 0);

describe("contour segments", () => {
  it("of a plane make up the straight line", () => {
    const segments = contourSegments(sampled(axis(3, 0, 2), axis(4, 0, 3), (i, j) => i + 0.5 * j), 3, 4, 1.2);
    expect(length(segments)).toBeCloseTo(Math.hypot(1.2, 2.4), 12); // from (1.2, 0) to (0, 2.4)
    for (const [i0, j0, i1, j1] of segments) for (const [i, j] of [[i0, j0], [i1, j1]]) expect(i + 0.5 * j).toBeCloseTo(1.2, 12);
  });

  it("of a paraboloid close to circles whose length converges with the second order", () => {
    const errorAt = (n: number) => {
      const [na, nb] = [n, n + 7];
      const values = sampled(axis(na, -2, 2), axis(nb, -2, 2), (x, y) => x * x + y * y);
      const scaled = contourSegments(values, na, nb, 1.5 ** 2).map((s): Segment => {
        const [hx, hy] = [4 / (na - 1), 4 / (nb - 1)];
        return [s[0] * hx, s[1] * hy, s[2] * hx, s[3] * hy];
      });
      const ends = scaled.flatMap(([x0, y0, x1, y1]) => [`${x0.toFixed(9)},${y0.toFixed(9)}`, `${x1.toFixed(9)},${y1.toFixed(9)}`]);
      for (const end of new Set(ends)) expect(ends.filter((other) => other === end).length).toBe(2); // a closed line
      return Math.abs(length(scaled) - 2 * Math.PI * 1.5);
    };
    const [coarse, fine] = [errorAt(20), errorAt(40)];
    expect(coarse).toBeLessThan(0.05);
    expect(coarse / fine).toBeGreaterThan(3);
  });

  it("of a saddle do not cross, and leave out cells with holes", () => {
    const saddle = [1, -1, -1, 1]; // the middle is zero
    expect(contourSegments(saddle, 2, 2, 0.1).length).toBe(2);
    expect(contourSegments(saddle, 2, 2, -0.1).length).toBe(2);
    expect(contourSegments([1, -1, NaN, 1], 2, 2, 0)).toEqual([]);
    expect(contourSegments([1, -1, Infinity, 1], 2, 2, 0)).toEqual([]);
  });

  it("follow a transform of the values: the level of a logarithm", () => {
    const values = sampled(axis(5, 0, 4), axis(3, 0, 2), (i) => Math.exp(i));
    for (const [i] of contourSegments(values, 5, 3, 1.25, Math.log)) expect(i).toBeCloseTo(1.25, 12);
  });
});

describe("contour levels", () => {
  it("are whole multiples of the interval inside the range", () => {
    const scale = makeScale(0.35, 7.2, 0.35);
    const intervals = contourIntervals(scale, 1);
    const levels = contourLevels(scale, false, intervals);
    expect(levels.length).toBeGreaterThan(12);
    expect(levels.length).toBeLessThan(60);
    for (const level of levels) expect(level / intervals.linear).toBeCloseTo(Math.round(level / intervals.linear), 9);
    expect(levels.every((level) => level >= scale.low && level <= scale.high)).toBe(true);
  });

  it("on a log scale hold every power of ten", () => {
    const scale = makeScale(0.005, 50, 0.005);
    const intervals = contourIntervals(scale, 1);
    const levels = contourLevels(scale, true, intervals);
    expect(intervals.log * intervals.perDecade).toBeCloseTo(Math.LN10, 12);
    for (const power of [0.01, 0.1, 1, 10]) {
      expect(Math.min(...levels.map((level) => Math.abs(level - transform(scale, power))))).toBeLessThan(1e-9);
    }
  });
});
