// View state in the address, layout of views, levels of detail, PNG text chunks.
import { describe, expect, it } from "vitest";
import { insertTextChunk } from "../src/export/png";
import { AdaptiveQuality } from "../src/gl/adaptiveQuality";
import { gridIndices, stridedIndices } from "../src/gl/gridIndices";
import { gridCells, layoutViews } from "../src/gl/viewLayout";
import { DEFAULTS, fromHash, parseState, Store, toHash, type ViewState } from "../src/state";

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

/** A value unlike the default for every key. */
const CHANGED: ViewState = {
  scene: 1, camera: { azimuth: 12.5, elevation: 71, zoom: 2, x: 0.1, y: -0.2, z: 0.3, ortho: true }, frame: 3.5, playing: true, speed: 4,
  loop: "once", range: [1, 5.5], follow: false, rotating: true, quantity: "accuracy & more", colorBy: "loss", colormap: "vik", log: true,
  clip: 3.25, exaggeration: 0.5, light: -35, style: "wire", contours: false, interval: 2, floor: false, mode: "difference", swipe: 0.25,
  active: "plane #2", hidden: ["a b", "ü%"], hiddenPaths: ["p=1"], map: "full", mapView: { zoom: 3, x: 0.5, y: -0.5 }, shared: false,
  colorRange: [0.1, 7], probes: [[0, 1], [-1, 0.125]], noise: true, insetSize: 0.5, split: 0.4, barHeight: 100, cardSize: 200,
  theme: "dark", ui: "min", caption: "full",
};

describe("the round trip through the address", () => {
  it("returns every key but what is transient", () => {
    const { playing, ...kept } = CHANGED;
    expect(playing).not.toBe(DEFAULTS.playing);
    expect(fromHash(toHash(CHANGED, DEFAULTS))).toEqual(kept);
  });

  it("works for each key alone, and back to the default", () => {
    for (const key of Object.keys(DEFAULTS) as (keyof ViewState)[]) {
      expect(CHANGED[key], key).not.toEqual(DEFAULTS[key]);
      if (key === "playing") continue;
      expect(fromHash(toHash({ ...DEFAULTS, [key]: CHANGED[key] }, DEFAULTS)), key).toEqual({ [key]: CHANGED[key] });
      expect(fromHash(toHash({ ...CHANGED, [key]: DEFAULTS[key] }, CHANGED)), key).toEqual({ [key]: DEFAULTS[key] });
    }
  });

  it("keeps seven digits", () => {
    expect(fromHash(toHash({ ...DEFAULTS, frame: 1 / 3 }, DEFAULTS)).frame).toBe(0.3333333);
  });

  it("takes any key in an address as from another source: of the right type, or not at all", () => {
    for (const key of Object.keys(DEFAULTS)) for (const value of [{}, "x", 1e999, [], true, 0]) {
      const parsed = parseState({ [key]: value }) as Record<string, unknown>;
      const standard = DEFAULTS[key as keyof ViewState];
      if (key in parsed && standard !== null) expect(typeof parsed[key], key).toBe(parsed[key] === null ? "object" : typeof standard);
    }
  });
});

describe("the store", () => {
  it("tells listeners which keys have changed, and nothing else", () => {
    const store = new Store({ ...DEFAULTS });
    const calls: string[][] = [];
    const stop = store.listen((_, changed) => calls.push([...changed]));
    store.set({ log: true, frame: 0 });
    store.set({ log: true });
    stop();
    store.set({ log: false });
    expect(calls).toEqual([["log"]]);
    expect(store.initial.log).toBe(false);
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

describe("PNG text", () => {
  it("inserts a chunk with a right checksum", () => {
    const png = new Uint8Array(40).fill(7);
    const out = insertTextChunk(png, "k", "v");
    expect(out.length).toBe(40 + 12 + 3);
    expect(new TextDecoder().decode(out.subarray(37, 44))).toBe("tEXtk\0v");
  });
});
