// Orbit camera: rotation, panning, zooming and interpolation.
import { describe, expect, it } from "vitest";
import { project } from "../src/gl/projection";
import type { View } from "../src/gl/viewLayout";
import { eyePosition, HOME, interpolateCamera, pan, rotate, viewAxes, zoomAt, type Vector } from "../src/math/camera";
import { WorldCoordinates } from "../src/math/coordinates";
import { makeScale } from "../src/math/scale";
import { DEFAULTS } from "../src/state";
import { random } from "./helpers";

describe("camera", () => {
  it("rotates and back", () => {
    const turned = rotate(rotate(HOME, 30, 12), -30, -12);
    expect(turned.azimuth).toBeCloseTo(HOME.azimuth, 9);
    expect(turned.elevation).toBeCloseTo(HOME.elevation, 9);
    expect(rotate(HOME, 0, 9999).elevation).toBe(90);
  });

  it("follows matplotlib's convention: azimuth from x, elevation from the plane", () => {
    const [x, y, z] = eyePosition({ ...HOME, azimuth: 90, elevation: 0, x: 0, y: 0, z: 0 });
    expect(x).toBeCloseTo(0, 9);
    expect(y).toBeGreaterThan(1);
    expect(z).toBeCloseTo(0, 9);
  });

  it("pans and back", () => {
    const panned = pan(HOME, 40, -25, 600);
    const back = pan(panned, -40, 25, 600);
    for (const key of ["x", "y", "z"] as const) expect(back[key]).toBeCloseTo(HOME[key], 9);
  });

  it("zooms about the pointer: at the middle the target stays", () => {
    const near = zoomAt(HOME, 2, 0, 0, 600);
    expect(near.zoom).toBeCloseTo(2 * HOME.zoom, 9);
    expect(near.x).toBeCloseTo(HOME.x, 9);
    expect(zoomAt(HOME, 2, 100, 0, 600).x).not.toBeCloseTo(HOME.x, 3);
  });

  it("is interpolated the short way round, exact at both ends", () => {
    const from = { ...HOME, azimuth: 170 };
    const to = { ...HOME, azimuth: -170 };
    expect(Math.abs(interpolateCamera(from, to, 0.5).azimuth)).toBeCloseTo(180, 6);
    expect(interpolateCamera(from, to, 1)).toEqual(to);
  });
});

describe("the axes of a view", () => {
  const dot = (a: Vector, b: Vector) => a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
  const cross = (a: Vector, b: Vector): Vector => [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]];

  it("are orthonormal and right-handed for every direction", () => {
    const next = random(31);
    for (let k = 0; k < 20; k++) {
      const { back, right, up } = viewAxes({ ...HOME, azimuth: 360 * next() - 180, elevation: 100 * next() - 10 });
      for (const v of [back, right, up]) expect(dot(v, v)).toBeCloseTo(1, 12);
      cross(right, up).forEach((v, axis) => expect(v).toBeCloseTo(back[axis], 12));
    }
  });
});

describe("pixels", () => {
  // Wide enough that the view is not moved back (projection.narrowViewFactor is 1).
  const view: View = { kind: "surface", rect: { x: 0, y: 0, width: 900, height: 600 }, surfaces: [] };
  const world = new WorldCoordinates([-1, 1], [-1, 1], makeScale(0, 1, 0.1));
  const pixels = (camera: typeof HOME, [x, y, z]: Vector) => project(view, { ...DEFAULTS, camera }, world, x, y, z).slice(0, 2);

  it("follow a pan exactly in the plane of the target", () => {
    for (const ortho of [false, true]) {
      const camera = { ...HOME, ortho };
      const target: Vector = [camera.x, camera.y, camera.z];
      const [x0, y0] = pixels(camera, target);
      const [x1, y1] = pixels(pan(camera, 37, -52, 600), target);
      expect([x1 - x0, y1 - y0]).toEqual([expect.closeTo(37, 6), expect.closeTo(-52, 6)]);
    }
  });

  it("under the pointer stay where they are while zooming", () => {
    const camera = { ...HOME, ortho: true };
    const { right, up } = viewAxes(camera);
    const unit = (2 * Math.tan(Math.PI / 12) * 5.1) / camera.zoom / 600; // world units a pixel: 30 degrees at distance 5.1
    const point = [0, 1, 2].map((k) => [camera.x, camera.y, camera.z][k] + (120 * right[k] + 45 * up[k]) * unit) as Vector;
    expect(pixels(camera, point)).toEqual([expect.closeTo(450 + 120, 6), expect.closeTo(300 - 45, 6)]);
    for (const factor of [1.3, 0.7]) {
      expect(pixels(zoomAt(camera, factor, 120, -45, 600), point)).toEqual([expect.closeTo(570, 6), expect.closeTo(255, 6)]);
    }
  });

  it("zoom geometrically between two cameras", () => {
    const middle = interpolateCamera({ ...HOME, zoom: 1, x: -1 }, { ...HOME, zoom: 4, x: 2 }, 0.5);
    expect([middle.zoom, middle.x]).toEqual([expect.closeTo(2, 12), expect.closeTo(0.5, 12)]);
  });
});
