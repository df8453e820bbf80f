// Two surfaces as one: their difference on the first one's grid, the second read between its cells where grids differ.
import { bilinear, fractionalIndex } from "../math/interpolation";
import { Surface } from "./surface";
import type { FieldData, SurfaceData } from "./types";

export function difference(one: Surface, other: Surface): Surface {
  const shared = one.quantities.filter((quantity) => other.quantities.includes(quantity));
  const fields = Object.fromEntries(shared.map((quantity) => [quantity, differenceField(one, other, quantity)]));
  const data: SurfaceData = {
    ...one.data,
    name: `${one.name} − ${other.name}`,
    label: `${one.label} − ${other.label}`,
    fields,
    done: one.doneMask || other.doneMask ? { data: bothDone(one, other), shape: [one.na, one.nb] } : null,
    origin: null,
  };
  return new Surface(data);
}

function differenceField(one: Surface, other: Surface, quantity: string): FieldData {
  const frames = Math.max(one.frameCount(quantity), other.frameCount(quantity));
  const size = one.na * one.nb;
  const values = new Float32Array(frames * size);
  const positions = onSameGrid(one, other) ? null : fractionalIndices(one, other);
  for (let frame = 0; frame < frames; frame++) {
    const [a, b] = [one.frameValues(quantity, frame), other.frameValues(quantity, frame)];
    for (let k = 0; k < size; k++) values[frame * size + k] = a[k] - (positions ? bilinear(b, other.na, other.nb, positions[2 * k], positions[2 * k + 1]) : b[k]);
  }
  const first = one.field(quantity)!;
  return { values: { data: values, shape: [frames, one.na, one.nb] }, label: `difference of ${first.label}`, units: first.units, standard_error: null };
}

export function onSameGrid(one: Surface, other: Surface): boolean {
  return axesEqual(one.alpha, other.alpha) && axesEqual(one.beta, other.beta);
}

function axesEqual(a: ArrayLike<number>, b: ArrayLike<number>): boolean {
  if (a.length !== b.length) return false;
  const span = Math.abs(a[a.length - 1] - a[0]) || 1;
  for (let k = 0; k < a.length; k++) if (Math.abs(a[k] - b[k]) > 1e-6 * span) return false;
  return true;
}

/** Fractional indices of `one`'s points in `other`'s grid; NaN outside of it, which leaves a hole. */
function fractionalIndices(one: Surface, other: Surface): Float32Array {
  const out = new Float32Array(one.na * one.nb * 2);
  for (let i = 0; i < one.na; i++) for (let j = 0; j < one.nb; j++) {
    const k = 2 * (i * one.nb + j);
    out[k] = fractionalIndex(other.alpha, one.alpha[i]);
    out[k + 1] = fractionalIndex(other.beta, one.beta[j]);
  }
  return out;
}

function bothDone(one: Surface, other: Surface): Uint8Array {
  const out = new Uint8Array(one.na * one.nb).fill(1);
  if (one.doneMask) for (let k = 0; k < out.length; k++) out[k] &= one.doneMask[k];
  if (other.doneMask && onSameGrid(one, other)) for (let k = 0; k < out.length; k++) out[k] &= other.doneMask[k];
  return out;
}
