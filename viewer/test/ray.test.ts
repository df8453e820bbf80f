// Ray casting and projection against closed forms and against each other.
import { describe, expect, it } from "vitest";
import { mapPosition, project, rayAt } from "../src/gl/projection";
import type { View } from "../src/gl/viewLayout";
import { HOME, type Vector } from "../src/math/camera";
import { BASE, HEIGHT, WorldCoordinates } from "../src/math/coordinates";
import { intersectFloor, intersectSurface, pointOnRay, sampleGrid, type Ray } from "../src/math/ray";
import { makeScale } from "../src/math/scale";
import { DEFAULTS, type ViewState } from "../src/state";
import { axis, random, sampled } from "./helpers";

const world = new WorldCoordinates([-1, 1], [-1, 1], makeScale(0, 2, 0.1));
const towards = (origin: Vector, target: Vector): Ray => {
  const difference = target.map((v, k) => v - origin[k]);
  const length = Math.hypot(...difference);
  return { origin, direction: difference.map((v) => v / length) as Vector };
};

describe("the intersection of a ray with the surface", () => {
  it("is the closed form on a tilted plane", () => {
    const ray = towards([3, -2, 4], [0.2, 0.1, 0.8]);
    // z = BASE + HEIGHT (1 + x + y) / 2 along origin + t direction, solved for t.
    const slope = ray.direction[2] - (HEIGHT / 2) * (ray.direction[0] + ray.direction[1]);
    const t = (BASE + (HEIGHT / 2) * (1 + ray.origin[0] + ray.origin[1]) - ray.origin[2]) / slope;
    const hit = intersectSurface(ray, (x, y) => 1 + x + y, world, Infinity)!;
    expect(hit.t).toBeCloseTo(t, 6);
    expect([hit.x, hit.y]).toEqual(pointOnRay(ray, hit.t).slice(0, 2));
  });

  it("is the nearer of the two on a paraboloid", () => {
    // Along y = 0 at constant height 1: x² + y² = value = 2 (z - BASE) / HEIGHT.
    const z = BASE + HEIGHT / 4;
    const hit = intersectSurface({ origin: [-5, 0, z], direction: [1, 0, 0] }, (x, y) => x * x + y * y, world, Infinity)!;
    expect(hit.x).toBeCloseTo(-Math.sqrt(0.5), 6);
  });

  it("is none beside the box, over holes and above the clip level", () => {
    const down: Ray = { origin: [0.3, 0.2, 5], direction: [0, 0, -1] };
    expect(intersectSurface(down, () => 1, world, Infinity)).toMatchObject({ x: 0.3, y: 0.2 });
    expect(intersectSurface(down, () => NaN, world, Infinity)).toBeNull();
    expect(intersectSurface(down, () => 1, world, 0.5)).toBeNull();
    expect(intersectSurface({ origin: [3, 0, 5], direction: [0, 0, -1] }, () => 1, world, Infinity)).toBeNull();
  });

  it("with the floor is where z is zero, inside the plane and in front", () => {
    const ray = towards([2, 1, 3], [0.5, -0.25, 0]);
    const hit = intersectFloor(ray, world)!;
    expect([hit.x, hit.y]).toEqual([expect.closeTo(0.5, 12), expect.closeTo(-0.25, 12)]);
    expect(intersectFloor(towards([2, 1, 3], [1.5, 0, 0]), world)).toBeNull();
    expect(intersectFloor({ origin: [0, 0, 1], direction: [0, 0, 1] }, world)).toBeNull();
    expect(intersectFloor({ origin: [0, 0, 1], direction: [1, 0, 0] }, world)).toBeNull();
  });

  it("reads values between grid points bilinearly, also on falling axes", () => {
    const f = (x: number, y: number) => 1 + x - 2 * y + x * y;
    for (const [x, y] of [[axis(5), axis(8)], [axis(5, 1, -1), axis(8)]]) {
      const grid = { x, y, values: Float32Array.from(sampled(x, y, f)) };
      for (const [px, py] of [[0.13, -0.4], [-0.99, 0.77], [1, 1]]) expect(sampleGrid(grid, px, py)).toBeCloseTo(f(px, py), 5);
      expect(sampleGrid(grid, 1.2, 0)).toBeNaN();
    }
  });
});

describe("projection", () => {
  const view: View = { kind: "surface", rect: { x: 30, y: 20, width: 640, height: 400 }, surfaces: [] };
  const turned = { ...HOME, azimuth: 130, elevation: 61, zoom: 2.2, x: 0.3, z: 0.7 };
  const cameras: ViewState["camera"][] = [HOME, turned, { ...HOME, ortho: true }];

  it("and its inverse: the ray through a projected point meets the point", () => {
    const next = random(17);
    for (const camera of cameras) for (let k = 0; k < 15; k++) {
      const point: Vector = [2 * next() - 1, 2 * next() - 1, next()];
      const state = { ...DEFAULTS, camera };
      const [px, py] = project(view, state, world, ...point);
      const { origin, direction } = rayAt(view, state, world, px, py);
      const along = direction.reduce((sum, d, axis) => sum + d * (point[axis] - origin[axis]), 0);
      const nearest = pointOnRay({ origin, direction }, along);
      expect(Math.hypot(...nearest.map((v, axis) => v - point[axis]))).toBeLessThan(1e-6);
    }
  });

  it("puts the target into the middle of the view", () => {
    for (const camera of cameras) {
      const [px, py] = project(view, { ...DEFAULTS, camera }, world, camera.x, camera.y, camera.z);
      expect(px).toBeCloseTo(30 + 320, 6);
      expect(py).toBeCloseTo(20 + 200, 6);
    }
  });

  it("of the map is linear, and undone by mapPosition", () => {
    const map: View = { ...view, kind: "map" };
    const state = { ...DEFAULTS, mapView: { zoom: 2, x: 0.25, y: -0.5 } };
    expect(project(map, DEFAULTS, world, -1, 1, 0).slice(0, 2)).toEqual([expect.closeTo(30, 9), expect.closeTo(20, 9)]);
    for (const [x, y] of [[0.25, -0.5], [0.1, -0.8], [0.7, -0.1]]) {
      const [px, py] = project(map, state, world, x, y, 0);
      expect(mapPosition(map, state, world, px, py)).toEqual({ x: expect.closeTo(x, 9), y: expect.closeTo(y, 9) });
    }
  });
});
