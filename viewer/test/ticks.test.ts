// Ticks and number formatting: invariants over many ranges.
import { describe, expect, it } from "vitest";
import { formatAll, formatNumber, formatPercent, formatTick, linearTicks, logTicks, niceStep, symlogTicks } from "../src/math/ticks";
import { random } from "./helpers";

const mantissa = (v: number) => Number((Math.abs(v) / 10 ** Math.floor(Math.log10(Math.abs(v)) + 1e-9)).toFixed(6));

describe("linear ticks", () => {
  it("are multiples of 1, 2 or 5 times a power of ten, inside the range, about as many as wanted", () => {
    const next = random(7);
    for (let k = 0; k < 60; k++) {
      const low = (next() - 0.5) * 10 ** (6 * next() - 3);
      const high = low + 10 ** (8 * next() - 4);
      const step = niceStep(high - low, 5);
      expect([1, 2, 5]).toContain(mantissa(step));
      const ticks = linearTicks(low, high, 5);
      expect(ticks.length).toBeGreaterThanOrEqual(2);
      expect(ticks.length).toBeLessThanOrEqual(9);
      for (const tick of ticks) {
        expect(Math.abs(tick / step - Math.round(tick / step))).toBeLessThan(1e-6);
        expect(tick).toBeGreaterThanOrEqual(low - 1e-6 * step);
        expect(tick).toBeLessThanOrEqual(high + 1e-6 * step);
      }
    }
  });

  it("of a symmetric range hold zero and both ends", () => {
    expect(linearTicks(-1, 1, 4)).toEqual([-1, -0.5, 0, 0.5, 1]);
  });

  it("survive an empty range", () => {
    expect(niceStep(0, 5)).toBe(1);
    expect(niceStep(NaN, 5)).toBe(1);
  });
});

describe("log ticks", () => {
  it("are the powers of ten of a wide range, and whole decades apart in a very wide one", () => {
    expect(logTicks(0.001, 1000).map((v) => Math.round(Math.log10(v)))).toEqual([-3, -2, -1, 0, 1, 2, 3]);
    const powers = logTicks(1e-10, 1e10).map((v) => Math.log10(v));
    const gaps = powers.slice(1).map((p, k) => Math.round(p - powers[k]));
    expect(new Set(gaps).size).toBe(1);
    expect(gaps[0]).toBeGreaterThan(1);
  });

  it("fall back to linear ticks in a narrow range or one that holds zero", () => {
    expect(logTicks(2, 4)).toEqual(linearTicks(2, 4));
    expect(logTicks(0, 4)).toEqual(linearTicks(0, 4));
  });

  it("of a symmetric log scale are symmetric", () => {
    const ticks = symlogTicks(-100, 100, 0.01);
    expect(ticks).toContain(0);
    expect(ticks.map((v) => -v).reverse().map((v) => v + 0)).toEqual(ticks.map((v) => v + 0));
  });
});

describe("numbers as text", () => {
  it("read back as the number to the digits asked for", () => {
    const next = random(13);
    for (let k = 0; k < 60; k++) {
      const value = (next() - 0.5) * 10 ** (12 * next() - 6);
      const back = Number(formatNumber(value, 4).replace("−", "-").replace(/,/g, ""));
      expect(Math.abs(back / value - 1)).toBeLessThan(6e-3); // large exponents carry two decimals
    }
    expect([0, Infinity, -Infinity, NaN].map((v) => formatNumber(v))).toEqual(["0", "∞", "−∞", "not a number"]);
  });

  it("have digit groups, exponents and true minus signs", () => {
    expect([-0.16084, 261246.255, 1240].map((v) => formatNumber(v))).toEqual(["−0.161", "2.6e5", "1,240"]);
    expect([formatTick(0.5, 0.5), formatTick(1, 0.5), formatTick(-1, 0.5)]).toEqual(["0.5", "1.0", "−1.0"]);
  });

  it("tell neighboring ticks apart", () => {
    for (const [low, high] of [[-1, 1], [0, 0.004], [100, 101], [2e5, 9e5]]) {
      const ticks = linearTicks(low, high, 5);
      const labels = ticks.map((tick) => formatTick(tick, niceStep(high - low, 5)));
      expect(new Set(labels).size).toBe(ticks.length);
    }
    expect(formatAll([1.1, 1.105, 1.11])).toEqual(["1.1", "1.105", "1.11"]);
    expect(new Set(formatAll([1.0986, 1.1, 1.102, 1.104])).size).toBe(4);
    expect(formatAll([0.3, 0.1 + 0.2])).toEqual(["0.3", "0.3"]);
  });

  it("never round a share up to all or down to nothing", () => {
    expect([0, 0.004, 0.25, 0.995, 1].map(formatPercent)).toEqual(["0.0 %", "0.4 %", "25 %", "99+ %", "100 %"]);
  });
});
