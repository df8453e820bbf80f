// Scale of heights and colors where nobody chose one; the rule is `automatic_scale` of lossatlas/viz/scene/value_ranges.py.
import type { Surface } from "./surface";

const LOG_RATIO = 20;
const FLAT_RANGE = 0.1;
const FLAT_SHARE = 0.25;

/**
 * Whether a log scale suits the values: all are positive, they span more than LOG_RATIO, and a quarter of them lie in the lowest
 * tenth of the range, which a linear scale would draw as one dark pool.
 */
export function suitsLogScale(surfaces: Surface[], quantity: string): boolean {
  if (surfaces.some((surface) => surface.data.provenance?.estimated_on === "linear")) return false;
  const values = surfaces.flatMap((surface) => {
    const stored = surface.field(quantity)?.values.data;
    return stored ? Array.from(stored as ArrayLike<number>).filter(Number.isFinite) : [];
  });
  let [low, high] = [Infinity, -Infinity];
  for (const value of values) {
    low = Math.min(low, value);
    high = Math.max(high, value);
  }
  if (!values.length || !(low > 0) || high / low <= LOG_RATIO) return false;
  const lowest = values.filter((value) => value < low + FLAT_RANGE * (high - low)).length;
  return lowest >= FLAT_SHARE * values.length;
}
