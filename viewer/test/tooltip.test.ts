// Tooltip: the uncertainty of a value, as the figures draw it.
import { describe, expect, it } from "vitest";
import { Surface } from "../src/data/surface";
import { uncertaintyRow } from "../src/overlay/tooltip";
import { surfaceData } from "./helpers";

/** 95 % interval of `count * share` ones among `count` (Wilson 1927, equation 3). */
function wilson(share: number, count: number): [number, number] {
  const z = 1.959963984540054;
  const [middle, reach] = [share + (z * z) / (2 * count), z * Math.sqrt((share * (1 - share)) / count + (z * z) / (4 * count * count))];
  return [middle - reach, middle + reach].map((end) => end / (1 + (z * z) / count)) as [number, number];
}

function accuracySurface(withInterval: boolean): Surface {
  const data = surfaceData("s", 2, 3);
  const shares = [0.9, 1, 0, 0.5, 0.5, 0.5];
  const ends = shares.map((share) => wilson(share, 10));
  ends[4] = [NaN, NaN];
  const array = (values: number[]) => ({ data: Float64Array.from(values), shape: [2, 3] });
  data.fields.accuracy = {
    values: array(shares),
    label: "accuracy",
    units: "1",
    standard_error: array(shares.map((share, k) => (k === 5 ? NaN : Math.sqrt((share * (1 - share)) / 9)))),
    interval: withInterval ? [array(ends.map(([low]) => low)), array(ends.map(([, high]) => high))] : null,
  };
  return new Surface(data);
}

describe("the uncertainty in a tooltip", () => {
  const at = (i: number, j: number) => ({ alpha: [-1, 1][i], beta: [-1, 0, 1][j] });

  it("is the 95 % interval of zeros and ones, which a certain cell has too", () => {
    const surface = accuracySurface(true);
    expect(uncertaintyRow(surface, "accuracy", at(0, 0))).toEqual(["95 % interval", "0.596 to 0.982"]);
    expect(uncertaintyRow(surface, "accuracy", at(0, 1))).toEqual(["95 % interval", "0.722 to 1"]);
    expect(uncertaintyRow(surface, "accuracy", at(0, 2))).toEqual(["95 % interval", "0 to 0.278"]);
  });

  it("is that of the nearest cell", () => {
    expect(uncertaintyRow(accuracySurface(true), "accuracy", { alpha: -0.8, beta: -0.7 })).toEqual(["95 % interval", "0.596 to 0.982"]);
  });

  it("is the standard error where a cell has no interval", () => {
    expect(uncertaintyRow(accuracySurface(true), "accuracy", at(1, 1))).toEqual(["± standard error", "0.17"]);
    expect(uncertaintyRow(accuracySurface(false), "accuracy", at(0, 0))).toEqual(["± standard error", "0.1"]);
  });

  it("is left out where neither is known, and outside the grid", () => {
    expect(uncertaintyRow(accuracySurface(false), "accuracy", at(1, 2))).toBeNull();
    expect(uncertaintyRow(accuracySurface(true), "loss", at(0, 0))).toBeNull();
    expect(uncertaintyRow(accuracySurface(true), "accuracy", { alpha: 3, beta: 0 })).toBeNull();
  });
});
