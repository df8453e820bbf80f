// The payload of the fixture archive, made by Python's encoder (tests/viewer_payload.py), against the archive's own numbers.
import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { captionLines } from "../src/chrome/caption";
import { decode, fromBase64, QUANTIZATION_STEPS } from "../src/data/decode";
import type { Header } from "../src/data/types";
import { SceneModel } from "../src/sceneModel";
import { Session } from "../src/session";

type Numbers = (number | string)[];
interface Fixture {
  header: Header;
  blob: string;
  caption: string[];
  numbers: { surface: Record<string, Numbers>; path: Record<string, Numbers> };
}

const fixture = JSON.parse(readFileSync(new URL("./fixtures/small.json", import.meta.url), "utf8")) as Fixture;
const document = await decode(fixture.header, fromBase64(fixture.blob));
const [scene] = document.scenes;
const [surface] = scene.surfaces;
const [path] = scene.paths;

/** Equal NaN and infinities; finite numbers within `tolerance`. */
function expectClose(data: ArrayLike<number>, numbers: Numbers, tolerance: number): void {
  expect(data.length).toBe(numbers.length);
  numbers.map(Number).forEach((expected, k) => {
    if (Number.isFinite(expected)) expect(Math.abs(data[k] - expected), `at ${k}`).toBeLessThanOrEqual(tolerance);
    else expect(data[k], `at ${k}`).toBe(expected);
  });
}

describe("the payload of the fixture archive", () => {
  const { numbers } = fixture;

  it("holds coordinates and paths exactly", () => {
    expectClose(surface.alpha.data, numbers.surface.alpha, 0);
    expectClose(surface.beta!.data, numbers.surface.beta, 0);
    for (const column of ["alpha", "beta", "step", "epoch", "loss"] as const) expectClose(path[column]!.data, numbers.path[column], 0);
  });

  it("holds values within half a quantization step, and holes and infinities as they are", () => {
    const { values, standard_error: error } = surface.fields.loss;
    expect(values.shape).toEqual([surface.alpha.data.length, surface.beta!.data.length]);
    const finite = numbers.surface.loss.map(Number).filter(Number.isFinite);
    const span = Math.max(...finite) - Math.min(...finite);
    // Half a step, and the rounding of float32 in which the page keeps values.
    expectClose(values.data, numbers.surface.loss, span / QUANTIZATION_STEPS / 2 + Math.max(...finite.map(Math.abs)) * 2 ** -24);
    expectClose(error!.data, numbers.surface.loss_standard_error, 2 ** -27);
  });

  it("says which cells are computed", () => {
    expectClose(surface.done!.data, numbers.surface.done, 0);
    const done = numbers.surface.done.map(Number);
    expect(new SceneModel(scene).surfaces[0].doneFraction).toBeCloseTo(done.reduce((a, b) => a + b, 0) / done.length, 12);
  });

  it("has the caption that Python writes under a figure of it", () => {
    expect(captionLines(new Session(document, {}))).toEqual(fixture.caption);
  });

  it("keeps labels, units and colormaps", () => {
    expect([surface.fields.loss.label, surface.fields.loss.units]).toEqual(["loss [nats]", "nats"]);
    expect(scene.timeline!.label).toHaveLength(path.step.data.length);
    for (const rgb of Object.values(document.colormaps)) expect(rgb.length).toBe(768);
  });
});
