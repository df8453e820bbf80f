// Difference of two surfaces on the grid of the first; the second is interpolated where the grids differ.
import { bilinear, fractionalIndex } from "../math/interpolation";
import { Surface } from "./surface";
import type { FieldData, SurfaceData } from "./types";

export function difference(first: Surface, second: Surface): Surface {
  const shared = first.quantities.filter((quantity) => second.quantities.includes(quantity));
  const fields = Object.fromEntries(shared.map((quantity) => [quantity, differenceField(first, second, quantity)]));
  const data: SurfaceData = {
    ...first.data,
    name: `${first.name} − ${second.name}`,
    label: `${first.label} − ${second.label}`,
    fields,
    done: first.doneMask || second.doneMask ? { data: bothDone(first, second), shape: [first.na, first.nb] } : null,
    origin: null,
  };
  return new Surface(data);
}

function differenceField(first: Surface, second: Surface, quantity: string): FieldData {
  const frames = Math.max(first.frameCount(quantity), second.frameCount(quantity));
  const size = first.na * first.nb;
  const values = new Float32Array(frames * size);
  const positions = onSameGrid(first, second) ? null : fractionalIndices(first, second);
  for (let frame = 0; frame < frames; frame++) {
    const [a, b] = [first.frameValues(quantity, frame), second.frameValues(quantity, frame)];
    for (let k = 0; k < size; k++)
      values[frame * size + k] = a[k] - (positions ? bilinear(b, second.na, second.nb, positions[2 * k], positions[2 * k + 1]) : b[k]);
  }
  const field = first.field(quantity)!;
  return {
    values: { data: values, shape: [frames, first.na, first.nb] },
    label: `difference of ${field.label}`,
    units: field.units,
    standard_error: null,
  };
}

export function onSameGrid(first: Surface, second: Surface): boolean {
  return axesEqual(first.alpha, second.alpha) && axesEqual(first.beta, second.beta);
}

function axesEqual(a: ArrayLike<number>, b: ArrayLike<number>): boolean {
  if (a.length !== b.length) return false;
  const span = Math.abs(a[a.length - 1] - a[0]) || 1;
  for (let k = 0; k < a.length; k++) if (Math.abs(a[k] - b[k]) > 1e-6 * span) return false;
  return true;
}

/** Fractional indices of `one`'s points in `other`'s grid; NaN outside of it, which leaves a hole. */
function fractionalIndices(first: Surface, second: Surface): Float32Array {
  const out = new Float32Array(first.na * first.nb * 2);
  for (let i = 0; i < first.na; i++) for (let j = 0; j < first.nb; j++) {
    const k = 2 * (i * first.nb + j);
    out[k] = fractionalIndex(second.alpha, first.alpha[i]);
    out[k + 1] = fractionalIndex(second.beta, first.beta[j]);
  }
  return out;
}

function bothDone(first: Surface, second: Surface): Uint8Array {
  const out = new Uint8Array(first.na * first.nb).fill(1);
  if (first.doneMask) for (let k = 0; k < out.length; k++) out[k] &= first.doneMask[k];
  if (second.doneMask && onSameGrid(first, second)) for (let k = 0; k < out.length; k++) out[k] &= second.doneMask[k];
  return out;
}
