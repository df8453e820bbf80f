// Interpolation of missing cells for display, so that a half-computed surface reads as a whole.
// Evaluations visit coarse lattices first: between the finest complete lattice values are bilinear, and cells computed
// beyond it pull their surroundings by a pyramid of averages.
import { bilinear } from "../math/interpolation";

export function fillMissing(values: Float32Array, known: Uint8Array, na: number, nb: number): void {
  const stride = latticeStride(values, known, na, nb);
  if (!stride) return fillFromPyramid(values, known, na, nb);
  const base = new Float32Array(values.length);
  for (let i = 0; i < na; i++) for (let j = 0; j < nb; j++) base[i * nb + j] = interpolateLattice(values, na, nb, i, j, stride);
  const residuals = values.map((v, k) => v - base[k]);
  fillFromPyramid(residuals, known, na, nb);
  for (let k = 0; k < values.length; k++) if (!known[k]) values[k] = base[k] + residuals[k];
}

/** The finest stride whose lattice (with the last row and column) is computed and finite throughout; 0 where there is none. */
export function latticeStride(values: Float32Array, known: Uint8Array, na: number, nb: number): number {
  for (const stride of [2, 4, 8, 16, 32]) {
    if (
      latticeIndices(na, stride).every((i) =>
        latticeIndices(nb, stride).every((j) => known[i * nb + j] && Number.isFinite(values[i * nb + j])),
      )
    )
      return stride;
  }
  return 0;
}

function latticeIndices(n: number, stride: number): number[] {
  const out: number[] = [];
  for (let k = 0; k < n - 1; k += stride) out.push(k);
  return [...out, n - 1];
}

/** Bilinear between the lattice cells round (i, j). */
function interpolateLattice(values: Float32Array, na: number, nb: number, i: number, j: number, stride: number): number {
  const [i0, j0] = [i === na - 1 ? i : i - (i % stride), j === nb - 1 ? j : j - (j % stride)];
  const [i1, j1] = [Math.min(i0 + stride, na - 1), Math.min(j0 + stride, nb - 1)];
  const [s, t] = [i1 > i0 ? (i - i0) / (i1 - i0) : 0, j1 > j0 ? (j - j0) / (j1 - j0) : 0];
  const low = values[i0 * nb + j0] * (1 - t) + values[i0 * nb + j1] * t;
  const high = values[i1 * nb + j0] * (1 - t) + values[i1 * nb + j1] * t;
  return low * (1 - s) + high * s;
}

function fillFromPyramid(values: Float32Array, known: Uint8Array, na: number, nb: number): void {
  if (na <= 1 && nb <= 1) return;
  const [ha, hb] = [(na + 1) >> 1, (nb + 1) >> 1];
  const sums = new Float32Array(ha * hb);
  const counts = new Float32Array(ha * hb);
  for (let i = 0; i < na; i++) for (let j = 0; j < nb; j++) {
    if (!known[i * nb + j] || !Number.isFinite(values[i * nb + j])) continue;
    const half = (i >> 1) * hb + (j >> 1);
    sums[half] += values[i * nb + j];
    counts[half]++;
  }
  const coarse = new Uint8Array(ha * hb);
  for (let k = 0; k < sums.length; k++) if (counts[k]) { sums[k] /= counts[k]; coarse[k] = 1; }
  if (coarse.includes(0) && coarse.includes(1)) fillFromPyramid(sums, coarse, ha, hb);
  for (let i = 0; i < na; i++) for (let j = 0; j < nb; j++) {
    if (!known[i * nb + j]) values[i * nb + j] = bilinear(sums, ha, hb, Math.max((i - 0.5) / 2, 0), Math.max((j - 0.5) / 2, 0));
  }
}
