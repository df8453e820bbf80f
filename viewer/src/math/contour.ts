// Contour lines as segments (marching squares), for drawings that are not shaders.
import type { Scale } from "./scale";
import { transform } from "./scale";
import { niceStep } from "./ticks";

export type Segment = [number, number, number, number];

/** Segments in grid indices where `transform(value)` equals `level`; cells with a value that is not finite give none. */
export function contourSegments(
  values: ArrayLike<number>,
  na: number,
  nb: number,
  level: number,
  transform: (v: number) => number = (v) => v,
): Segment[] {
  const out: Segment[] = [];
  for (let i = 0; i < na - 1; i++)
    for (let j = 0; j < nb - 1; j++) {
      const corner = [values[i * nb + j], values[(i + 1) * nb + j], values[(i + 1) * nb + j + 1], values[i * nb + j + 1]].map(transform);
      if (!corner.every(Number.isFinite)) continue;
      const crossings = cellCrossings(corner, level, i, j);
      if (crossings.length === 2) out.push([...crossings[0], ...crossings[1]]);
      else if (crossings.length === 4) {
        // A saddle: the middle of the cell tells which corners belong together.
        const high = (corner[0] + corner[1] + corner[2] + corner[3]) / 4 > level;
        const pairs = high === corner[0] > level ? [[0, 1], [2, 3]] : [[0, 3], [1, 2]];
        for (const [a, b] of pairs) out.push([...crossings[a], ...crossings[b]]);
      }
    }
  return out;
}

function cellCrossings(corner: number[], level: number, i: number, j: number): [number, number][] {
  const places: [number, number][] = [[i, j], [i + 1, j], [i + 1, j + 1], [i, j + 1]];
  const out: [number, number][] = [];
  for (let k = 0; k < 4; k++) {
    const next = (k + 1) % 4;
    if (corner[k] > level === corner[next] > level) continue;
    const t = (level - corner[k]) / (corner[next] - corner[k]);
    out.push([places[k][0] + (places[next][0] - places[k][0]) * t, places[k][1] + (places[next][1] - places[k][1]) * t]);
  }
  return out;
}

/** The levels the shaders draw, in the quantity or its logarithm. */
export function contourLevels(scale: Scale, log: boolean, steps: { linear: number; log: number }): number[] {
  const step = log ? steps.log : steps.linear;
  const [low, high] = log ? [transform(scale, scale.low), transform(scale, scale.high)] : [scale.low, scale.high];
  const out: number[] = [];
  for (let k = Math.ceil(low / step); k * step <= high && out.length < 300; k++) out.push(k * step);
  return out;
}

/** Round contour intervals: in the quantity itself, and in its logarithm (a whole number of lines a decade). */
export function contourIntervals(scale: Scale, interval: number): { linear: number; log: number; perDecade: number } {
  const linear = niceStep(scale.high - scale.low, 26 / interval);
  const bentSpan = transform(scale, scale.high) - transform(scale, scale.low);
  const decades = bentSpan / Math.LN10;
  const perDecade = [50, 20, 10, 5, 2, 1].reduce((best, n) =>
    Math.abs(decades * n - 30 / interval) < Math.abs(decades * best - 30 / interval) ? n : best,
  );
  return { linear, log: Math.LN10 / perDecade, perDecade };
}
