import { describe, expect, it } from "vitest";
import { eyePosition, HOME, interpolateCamera, pan, rotate, zoomAt } from "../src/math/camera";

describe("camera", () => {
  it("turns and comes back to where it was", () => {
    const turned = rotate(rotate(HOME, 30, 12), -30, -12);
    expect(turned.azimuth).toBeCloseTo(HOME.azimuth, 9);
    expect(turned.elevation).toBeCloseTo(HOME.elevation, 9);
    expect(rotate(HOME, 0, 9999).elevation).toBe(90);
  });

  it("stands as matplotlib counts: azimuth from x, elevation from the plane", () => {
    const [x, y, z] = eyePosition({ ...HOME, azimuth: 90, elevation: 0, x: 0, y: 0, z: 0 });
    expect(x).toBeCloseTo(0, 9);
    expect(y).toBeGreaterThan(1);
    expect(z).toBeCloseTo(0, 9);
  });

  it("slides what was grabbed with the pointer, and back", () => {
    const there = pan(HOME, 40, -25, 600);
    const back = pan(there, -40, 25, 600);
    for (const key of ["x", "y", "z"] as const) expect(back[key]).toBeCloseTo(HOME[key], 9);
  });

  it("zooms about the pointer: at the middle the target stays", () => {
    const near = zoomAt(HOME, 2, 0, 0, 600);
    expect(near.zoom).toBeCloseTo(2 * HOME.zoom, 9);
    expect(near.x).toBeCloseTo(HOME.x, 9);
    expect(zoomAt(HOME, 2, 100, 0, 600).x).not.toBeCloseTo(HOME.x, 3);
  });

  it("flies the short way round and lands exactly", () => {
    const from = { ...HOME, azimuth: 170 };
    const to = { ...HOME, azimuth: -170 };
    expect(Math.abs(interpolateCamera(from, to, 0.5).azimuth)).toBeCloseTo(180, 6);
    expect(interpolateCamera(from, to, 1)).toEqual(to);
  });
});
