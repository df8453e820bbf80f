// Ray casting against the drawn surface and the floor, on the CPU.
import type { Vector } from "./camera";
import type { WorldCoordinates } from "./coordinates";
import { bilinear, fractionalIndex } from "./interpolation";

export interface Grid { x: Float64Array; y: Float64Array; values: Float32Array }

/** The drawn value at a world position; NaN in holes and outside. */
export function sampleGrid(grid: Grid, x: number, y: number): number {
  const i = fractionalIndex(grid.x, x);
  const j = fractionalIndex(grid.y, y);
  return Number.isNaN(i) || Number.isNaN(j) ? NaN : bilinear(grid.values, grid.x.length, grid.y.length, i, j);
}

export interface Ray { origin: Vector; direction: Vector }

/** First crossing of the ray with the surface below `clip`, as plane position and value; null when it passes by. */
export function intersectSurface(
  ray: Ray,
  heightAt: (x: number, y: number) => number,
  world: WorldCoordinates,
  clip: number,
  steps = 420,
): { x: number; y: number; t: number } | null {
  const span = boxSpan(ray, world);
  if (!span) return null;
  const gap = (t: number) => {
    const [x, y, z] = pointOnRay(ray, t);
    const value = heightAt(x, y);
    return Number.isNaN(value) || value > clip ? NaN : z - world.z(value);
  };
  let [t0, g0] = [span[0], gap(span[0])];
  for (let k = 1; k <= steps; k++) {
    const t1 = span[0] + ((span[1] - span[0]) * k) / steps;
    const g1 = gap(t1);
    if (g0 * g1 <= 0) {
      const t = bisect(gap, t0, t1, g0);
      const [x, y] = pointOnRay(ray, t);
      return { x, y, t };
    }
    [t0, g0] = [t1, g1];
  }
  return null;
}

export function intersectFloor(ray: Ray, world: WorldCoordinates): { x: number; y: number; t: number } | null {
  if (Math.abs(ray.direction[2]) < 1e-9) return null;
  const t = -ray.origin[2] / ray.direction[2];
  const [x, y] = pointOnRay(ray, t);
  return t > 0 && Math.abs(x) <= world.halfX && Math.abs(y) <= world.halfY ? { x, y, t } : null;
}

function bisect(gap: (t: number) => number, a: number, b: number, ga: number): number {
  for (let k = 0; k < 24; k++) {
    const middle = (a + b) / 2;
    const g = gap(middle);
    if (ga * g > 0) [a, ga] = [middle, g];
    else b = middle;
  }
  return (a + b) / 2;
}

export function pointOnRay(ray: Ray, t: number): Vector {
  return [ray.origin[0] + ray.direction[0] * t, ray.origin[1] + ray.direction[1] * t, ray.origin[2] + ray.direction[2] * t];
}

function boxSpan(ray: Ray, world: WorldCoordinates): [number, number] | null {
  let [near, far] = [-Infinity, Infinity];
  const low = [-world.halfX, -world.halfY, -0.01];
  const high = [world.halfX, world.halfY, world.top + 0.01];
  for (let k = 0; k < 3; k++) {
    const d = Math.abs(ray.direction[k]) < 1e-12 ? 1e-12 : ray.direction[k];
    const [t0, t1] = [(low[k] - ray.origin[k]) / d, (high[k] - ray.origin[k]) / d];
    near = Math.max(near, Math.min(t0, t1));
    far = Math.min(far, Math.max(t0, t1));
  }
  return far > near ? [near, far] : null;
}
