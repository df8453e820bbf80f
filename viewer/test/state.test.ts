import { describe, expect, it } from "vitest";
import { insertTextChunk } from "../src/export/png";
import { AdaptiveQuality } from "../src/gl/adaptiveQuality";
import { gridIndices, stridedIndices } from "../src/gl/gridIndices";
import { gridCells, layoutViews } from "../src/gl/viewLayout";
import { contourSegments } from "../src/math/contour";
import { DEFAULTS, fromHash, parseState, toHash } from "../src/state";

describe("the address", () => {
  it("carries only what differs and returns it", () => {
    const state = { ...DEFAULTS, log: true, clip: 3.25, camera: { ...DEFAULTS.camera, azimuth: 12 }, hidden: ["a b"] };
    const hash = toHash(state, DEFAULTS);
    expect(fromHash(hash)).toEqual({ log: true, clip: 3.25, camera: state.camera, hidden: ["a b"] });
    expect(toHash(DEFAULTS, DEFAULTS)).toBe("");
  });

  it("leaves out nonsense", () => {
    expect(fromHash("#v=%7Bbroken")).toEqual({});
    expect(parseState({ log: "yes", zoom: 3, frame: NaN, camera: { azimuth: "x", zoom: 2 } })).toEqual({
      camera: { ...DEFAULTS.camera, zoom: 2 },
    });
  });
});

describe("layout", () => {
  it("keeps views inside the picture and apart", () => {
    const views = layoutViews({ ...DEFAULTS, mode: "side", map: "side" }, ["a", "b", "c"], 1000, 600, 1);
    expect(views.filter((v) => v.kind === "surface").length).toBe(3);
    for (const { rect } of views) {
      expect(rect.x).toBeGreaterThanOrEqual(0);
      expect(rect.x + rect.width).toBeLessThanOrEqual(1000.01);
    }
    expect(gridCells({ x: 0, y: 0, width: 900, height: 600 }, 4).length).toBe(4);
  });
});

describe("levels of detail", () => {
  it("cover the whole grid at every stride", () => {
    for (const stride of [1, 2, 4]) {
      const indices = gridIndices(10, 23, stride);
      expect(Math.max(...indices)).toBe(229);
      expect(indices.length).toBe((stridedIndices(10, stride).length - 1) * (stridedIndices(23, stride).length - 1) * 6);
    }
  });

  it("coarsen when slow and return to full quality at rest", () => {
    const quality = new AdaptiveQuality();
    let now = 0;
    for (let k = 0; k < 8; k++) quality.frame((now += 120), true);
    expect(quality.level).toBeGreaterThan(1);
    expect(quality.frame((now += 300), false)).toEqual({ ratio: 1, stride: 1 });
  });
});

describe("contour segments", () => {
  it("lie on the level of a plane", () => {
    const values = Float64Array.from({ length: 12 }, (_, k) => Math.floor(k / 4) + 0.5 * (k % 4));
    const segments = contourSegments(values, 3, 4, 1.2);
    expect(segments.length).toBeGreaterThan(2);
    for (const [i, j] of segments) expect(i + 0.5 * j).toBeCloseTo(1.2, 9);
  });
});

describe("PNG text", () => {
  it("inserts a chunk with a right checksum", () => {
    const png = new Uint8Array(40).fill(7);
    const out = insertTextChunk(png, "k", "v");
    expect(out.length).toBe(40 + 12 + 3);
    expect(new TextDecoder().decode(out.subarray(37, 44))).toBe("tEXtk\0v");
  });
});
