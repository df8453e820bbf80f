// Normalization of values and world coordinates against closed forms.
import { describe, expect, it } from "vitest";
import { BASE, HEIGHT, WorldCoordinates } from "../src/math/coordinates";
import { denormalize, inverseTransform, makeScale, normalize, transform } from "../src/math/scale";
import { random } from "./helpers";

describe("normalization", () => {
  it("of a log scale counts decades", () => {
    const scale = makeScale(0.01, 100, 0.01);
    for (const [value, expected] of [[0.01, 0], [0.1, 0.25], [1, 0.5], [10, 0.75], [100, 1]]) {
      expect(normalize(scale, value, 1)).toBeCloseTo(expected, 12);
      expect(denormalize(scale, expected, 1) / value).toBeCloseTo(1, 12);
    }
  });

  it("of a symmetric log scale is odd, and linear near zero", () => {
    const scale = makeScale(-5, 5, 0.01);
    expect(scale.linearThreshold).toBeCloseTo(0.01, 12);
    for (const value of [0.003, 0.2, 4]) expect(normalize(scale, -value, 1)).toBeCloseTo(1 - normalize(scale, value, 1), 12);
    expect(normalize(scale, 0, 1)).toBeCloseTo(0.5, 12);
    expect(transform(scale, 1e-5)).toBeCloseTo(1e-3, 8); // asinh(x) = x - x³/6 + …
  });

  it("blends linear and log in proportion", () => {
    const scale = makeScale(1, 16, 1);
    for (const morph of [0, 0.25, 0.6, 1]) expect(normalize(scale, 4, morph)).toBeCloseTo((1 - morph) * 0.2 + morph * 0.5, 12);
  });

  it("rises with the value and is undone by its inverse", () => {
    const next = random(1);
    for (const scale of [makeScale(0.3, 7, 0.3), makeScale(-2, 9, 0.05), makeScale(0, 1e-3, 1e-5)]) {
      const values = Array.from({ length: 20 }, () => scale.low + (scale.high - scale.low) * next()).sort((a, b) => a - b);
      for (const morph of [0, 0.4, 1]) {
        const shares = values.map((v) => normalize(scale, v, morph));
        shares.slice(1).forEach((s, k) => expect(s).toBeGreaterThan(shares[k]));
        values.forEach((v, k) => expect(Math.abs(denormalize(scale, shares[k], morph) - v)).toBeLessThan(1e-9 * (scale.high - scale.low)));
      }
      for (const v of values) expect(inverseTransform(scale, transform(scale, v))).toBeCloseTo(v, 12);
    }
  });

  it("gives a constant a range around its value", () => {
    expect(makeScale(2, 2, 2)).toMatchObject({ low: 1.8, high: 2.2 });
    expect(makeScale(0, 0, Infinity)).toMatchObject({ low: -1, high: 1, curve: "symlog" });
  });
});

describe("world coordinates", () => {
  const world = new WorldCoordinates([-2, 2], [1, 3], makeScale(0, 10, 0.1));

  it("keep equal units along both axes, and stretch a thin plane", () => {
    expect([world.halfX, world.halfY]).toEqual([1, 0.5]);
    const thin = new WorldCoordinates([0, 10], [0, 1], makeScale(0, 1, 0.1));
    expect([thin.halfX, thin.halfY]).toEqual([1, 1]);
  });

  it("map the corners of the plane, the floor of the range and back", () => {
    expect([world.x(-2), world.x(2), world.y(1), world.y(3), world.y(2)]).toEqual([-1, 1, -0.5, 0.5, 0]);
    expect([world.z(0), world.z(10)]).toEqual([BASE, BASE + HEIGHT]);
    for (const v of [-1.7, 0, 0.4]) expect(world.alpha(world.x(v))).toBeCloseTo(v, 12);
    for (const v of [1.1, 2.9]) expect(world.beta(world.y(v))).toBeCloseTo(v, 12);
    for (const v of [0.2, 9]) expect(world.value(world.z(v))).toBeCloseTo(v, 12);
  });

  it("exaggerate heights above the base", () => {
    const tall = new WorldCoordinates([0, 1], [0, 1], makeScale(0, 10, 0.1));
    tall.exaggeration = 2;
    expect(tall.z(5)).toBeCloseTo(BASE + HEIGHT, 12);
  });
});
