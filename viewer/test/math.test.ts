import { describe, expect, it } from "vitest";
import { denormalize, makeScale, normalize } from "../src/math/scale";
import { formatAll, formatNumber, formatTick, linearTicks, logTicks, niceStep } from "../src/math/ticks";

describe("words for ticks", () => {
  it("tell close values apart", () => {
    expect(formatAll([1.1, 1.105, 1.11])).toEqual(["1.1", "1.105", "1.11"]);
    expect(new Set(formatAll([1.0986, 1.1, 1.102, 1.104])).size).toBe(4);
    expect(formatAll([0.3, 0.1 + 0.2])).toEqual(["0.3", "0.3"]);
  });
});

describe("scale", () => {
  it("share and valueAt are inverse for every morph", () => {
    for (const scale of [makeScale(0.1, 40, 0.1), makeScale(-3, 5, 0.01), makeScale(0, 2, 0.5)]) {
      for (const morph of [0, 0.3, 1]) {
        expect(normalize(scale, scale.low, morph)).toBeCloseTo(0, 9);
        expect(normalize(scale, scale.high, morph)).toBeCloseTo(1, 9);
        for (const at of [0.2, 0.5, 0.9]) expect(normalize(scale, denormalize(scale, at, morph), morph)).toBeCloseTo(at, 6);
      }
    }
  });

  it("gives a constant surface a range and negative losses a symmetric logarithm", () => {
    const constant = makeScale(2, 2, 2);
    expect(constant.high).toBeGreaterThan(2);
    expect(makeScale(-1, 1, 0.1).curve).toBe("symlog");
    expect(makeScale(0.5, 1, 0.5).curve).toBe("log");
  });
});

describe("ticks", () => {
  it("are round and inside the range", () => {
    expect(linearTicks(-1, 1, 4)).toEqual([-1, -0.5, 0, 0.5, 1]);
    expect(niceStep(7, 5)).toBe(1);
    for (const tick of logTicks(0.02, 300)) expect(tick).toBeGreaterThanOrEqual(0.0199);
    expect(logTicks(0.1, 100)).toContain(1);
  });

  it("read as people write", () => {
    expect(formatNumber(-0.16084)).toBe("−0.161");
    expect(formatNumber(261246.255)).toBe("2.6e5");
    expect(formatNumber(1240)).toBe("1,240");
    expect(formatNumber(NaN)).toBe("not a number");
    expect(formatTick(0.5, 0.5)).toBe("0.5");
    expect(formatTick(1, 0.5)).toBe("1.0");
  });
});
