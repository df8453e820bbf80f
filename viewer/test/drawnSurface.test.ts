// The drawn surface between cells, as numbers that Python's reliefs are held to as well (tests/viz/scene/test_interpolation.py).
// LOSSATLAS_WRITE_FIXTURES=1 npx vitest run test/drawnSurface.test.ts writes them again.
import { readFileSync, writeFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { Surface, VertexData } from "../src/data/surface";
import { random, surfaceData } from "./helpers";

type Numbers = (number | string)[];
interface Case { shape: [number, number]; factors: [number, number]; values: Numbers; drawn: Numbers }

const FILE = new URL("./fixtures/interpolation.json", import.meta.url);
const next = random(7);
const uneven = Array.from({ length: 20 }, () => Math.fround(10 * next() ** 3 - 1));
const CASES: Record<string, { shape: [number, number]; values: number[] }> = {
  linear: { shape: [5, 4], values: uneven },
  hole: { shape: [5, 4], values: uneven.map((v, k) => (k === 9 ? NaN : k === 16 ? Infinity : v)) },
  decades: { shape: [3, 4], values: uneven.slice(0, 12).map((v) => Math.fround(Math.exp(v / 2))) },
};

/** What the GPU gets; every pixel between is linear. */
function draw([na, nb]: [number, number], values: number[]): Case {
  const data = surfaceData("s", na, nb);
  data.fields.loss.values.data = Float32Array.from(values);
  const surface = new Surface(data);
  const vertices = new VertexData(surface);
  vertices.load("loss", 0, surface.alphaAxis.positions, surface.betaAxis.positions);
  return { shape: [na, nb], factors: surface.refinement, values: values.map(plain), drawn: Array.from(vertices.values, plain) };
}

/** Nine digits hold a float32 exactly; JSON has no NaN. */
const plain = (v: number) => (Number.isFinite(v) ? Number(v.toPrecision(9)) : String(v));

if (process.env.LOSSATLAS_WRITE_FIXTURES) {
  const cases = Object.entries(CASES).map(([name, { shape, values }]) => [name, draw(shape, values)]);
  writeFileSync(FILE, JSON.stringify(Object.fromEntries(cases)) + "\n");
}

const fixture = JSON.parse(readFileSync(FILE, "utf8")) as Record<string, Case>;

describe("the drawn surface", () => {
  it.each(Object.keys(CASES))("is that of the fixture: %s", (name) => {
    const { shape, factors, values, drawn } = fixture[name];
    const now = draw(shape, values.map(Number));
    expect(now.factors).toEqual(factors);
    const largest = Math.max(...drawn.map(Number).filter(Number.isFinite).map(Math.abs));
    now.drawn.map(Number).forEach((v, k) => {
      const expected = Number(drawn[k]);
      if (Number.isFinite(expected)) expect(Math.abs(v - expected), `at ${k}`).toBeLessThanOrEqual(2 ** -20 * largest); // float32
      else expect(v, `at ${k}`).toBeNaN();
    });
  });
});
