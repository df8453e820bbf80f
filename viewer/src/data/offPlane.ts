// Flags of the path points that lie far off the plane, where the drawn line is only a projection.
import type { PathData } from "./types";

/** Off the plane by more than this share of the window's height along beta counts as far. */
export const OFF_PLANE_FRACTION = 0.05;

/** One flag a point; null where the whole path lies on the plane or distances are not stored. `b` is the window along beta. */
export function offPlaneFlags(path: PathData, b: [number, number]): Uint8Array | null {
  const { stem, residual } = path;
  if (!stem && !residual) return null;
  // Without the length of the beta axis a distance has no scale on the map: anything beyond rounding counts.
  const [distance, limit] = stem ? [stem.data, OFF_PLANE_FRACTION * Math.abs(b[1] - b[0])] : [residual!.data, 1e-6];
  const flags = Uint8Array.from(distance as ArrayLike<number>, (d) => (d > limit ? 1 : 0));
  return flags.includes(1) ? flags : null;
}
