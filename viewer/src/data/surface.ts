// Surface: values by quantity and frame, and the interpolated vertex data that the GPU draws.
import { refineAxis, refineFactor, refineGrid, type Axis } from "../math/interpolation";
import { fillMissing } from "./fillMissing";
import type { FieldData, SurfaceData } from "./types";

export const HOLE = -1000;

export class Surface {
  readonly alpha: ArrayLike<number>;
  readonly beta: ArrayLike<number>;
  readonly na: number;
  readonly nb: number;
  readonly alphaAxis: Axis;
  readonly betaAxis: Axis;
  readonly refinement: [number, number];
  /** Cells that are computed; null when all are. */
  doneMask: Uint8Array | null;
  private ranges = new Map<string, Range>();

  constructor(readonly data: SurfaceData) {
    this.alpha = data.alpha.data;
    this.beta = data.beta?.data ?? [0];
    this.na = this.alpha.length;
    this.nb = this.beta.length;
    this.refinement = [refineFactor(this.na), refineFactor(this.nb)];
    this.alphaAxis = refineAxis(this.alpha, this.refinement[0]);
    this.betaAxis = refineAxis(this.beta, this.refinement[1]);
    this.doneMask = data.done ? toMask(data.done.data) : null;
    if (this.doneMask && !this.doneMask.includes(0)) this.doneMask = null;
  }

  get name(): string { return this.data.name; }
  get label(): string { return this.data.label || this.data.name; }
  get isLine(): boolean { return this.data.beta === null; }
  get quantities(): string[] { return Object.keys(this.data.fields); }
  get doneFraction(): number { return this.doneMask ? this.doneMask.reduce((n, k) => n + (k ? 1 : 0), 0) / this.doneMask.length : 1; }

  field(quantity: string): FieldData | undefined { return this.data.fields[quantity]; }

  frameCount(quantity: string): number {
    const shape = this.field(quantity)?.values.shape ?? [];
    return shape.length > (this.isLine ? 1 : 2) ? shape[0] : 1;
  }

  /** Values of one frame with missing cells interpolated for display. */
  filledValues(quantity: string, frame: number): ArrayLike<number> {
    if (!this.doneMask) return this.frameValues(quantity, frame);
    const values = Float32Array.from(this.frameValues(quantity, frame));
    fillMissing(values, this.doneMask, this.na, this.nb);
    return values;
  }

  /** Values of one frame, a view into the stored array where possible. */
  frameValues(quantity: string, frame: number): ArrayLike<number> {
    const field = this.field(quantity);
    const size = this.na * this.nb;
    if (!field) return new Float32Array(size).fill(NaN);
    const k = Math.max(0, Math.min(frame, this.frameCount(quantity) - 1));
    const data = field.values.data as Float32Array;
    return data.subarray(k * size, (k + 1) * size);
  }

  /** Smallest, largest and smallest positive finite computed value over every frame. */
  range(quantity: string): Range {
    const cached = this.ranges.get(quantity);
    if (cached) return cached;
    const extent = { low: Infinity, high: -Infinity, positive: Infinity };
    for (let k = 0; k < this.frameCount(quantity); k++) extendRange(extent, this.frameValues(quantity, k), this.doneMask);
    this.ranges.set(quantity, extent);
    return extent;
  }

  /** The smallest computed value of a frame and where it is. */
  minimum(quantity: string, frame: number): { alpha: number; beta: number; value: number } | null {
    const values = this.frameValues(quantity, frame);
    let best = -1;
    for (let k = 0; k < values.length; k++) {
      if (Number.isFinite(values[k]) && (!this.doneMask || this.doneMask[k]) && (best < 0 || values[k] < values[best])) best = k;
    }
    if (best < 0) return null;
    return { alpha: this.alpha[Math.floor(best / this.nb)], beta: this.beta[best % this.nb], value: values[best] };
  }

  /** New values have come in (live): ranges are stale. */
  clearRanges(): void { this.ranges.clear(); }

  /** Whether values are interpolated as logarithms; the same rule as the encoder's. */
  spansDecades(quantity: string): boolean {
    const { low, high } = this.range(quantity);
    return low > 0 && high / low > 20;
  }
}

export interface Range { low: number; high: number; positive: number }

function extendRange(range: Range, values: ArrayLike<number>, known: Uint8Array | null): void {
  for (let k = 0; k < values.length; k++) {
    const value = values[k];
    if (!Number.isFinite(value) || (known && !known[k])) continue;
    if (value < range.low) range.low = value;
    if (value > range.high) range.high = value;
    if (value > 0 && value < range.positive) range.positive = value;
  }
}

function toMask(data: ArrayLike<number>): Uint8Array {
  return data instanceof Uint8Array ? data : Uint8Array.from(data as ArrayLike<number>, (v) => (v ? 1 : 0));
}

/** What the GPU reads at each point of the refined grid: value, its slope along x and y, and a mask (1 computed, 0 interpolated, HOLE). */
export class VertexData {
  readonly packed: Float32Array;
  readonly values: Float32Array;
  private readonly cellValues: Float32Array;
  private readonly cellMask: Float32Array;
  private readonly vertexMask: Float32Array;
  private readonly rowBuffer: Float32Array;
  key = "";

  constructor(readonly surface: Surface) {
    const { na, nb } = surface;
    const size = surface.alphaAxis.cell.length * surface.betaAxis.cell.length;
    this.packed = new Float32Array(size * 4);
    this.values = new Float32Array(size);
    this.cellValues = new Float32Array(na * nb);
    this.cellMask = new Float32Array(na * nb);
    this.vertexMask = new Float32Array(size);
    this.rowBuffer = new Float32Array(na * surface.betaAxis.cell.length);
  }

  /** Fill from one frame; `x` and `y` are the world positions of the refined axes. */
  load(quantity: string, frame: number, x: Float64Array, y: Float64Array, givenValues?: ArrayLike<number>): void {
    const { surface, cellValues, cellMask } = this;
    const { doneMask, na, nb } = surface;
    const logarithmic = surface.spansDecades(quantity);
    const raw = givenValues ?? surface.frameValues(quantity, frame);
    for (let k = 0; k < cellValues.length; k++) {
      const isKnown = !doneMask || doneMask[k] === 1;
      const holds = Number.isFinite(raw[k]);
      cellMask[k] = isKnown ? (holds ? 1 : HOLE) : 0;
      cellValues[k] = holds ? (logarithmic ? Math.log(raw[k]) : raw[k]) : NaN;
    }
    if (doneMask) fillMissing(cellValues, doneMask, na, nb);
    refineGrid(cellValues, na, nb, surface.alphaAxis, surface.betaAxis, this.rowBuffer, this.values);
    this.interpolateMask();
    this.pack(x, y, logarithmic);
  }

  private interpolateMask(): void {
    const { alphaAxis, betaAxis, nb } = this.surface;
    const { cellMask, vertexMask } = this;
    const mb = betaAxis.cell.length;
    for (let i = 0; i < alphaAxis.cell.length; i++) for (let j = 0; j < mb; j++) {
      const [k, s, t] = [alphaAxis.cell[i] * nb + betaAxis.cell[j], alphaAxis.fraction[i], betaAxis.fraction[j]];
      vertexMask[i * mb + j] =
        (cellMask[k] * (1 - t) + cellMask[k + 1] * t) * (1 - s) + (cellMask[k + nb] * (1 - t) + cellMask[k + nb + 1] * t) * s;
    }
  }

  private pack(x: Float64Array, y: Float64Array, isLog: boolean): void {
    const { values, packed, vertexMask } = this;
    const [ma, mb] = [x.length, y.length];
    for (let i = 0; i < ma; i++) for (let j = 0; j < mb; j++) {
      const k = i * mb + j;
      const hole = vertexMask[k] < -0.001 || Number.isNaN(values[k]);
      const gx = finiteDifference(values, k, i > 0 ? k - mb : -1, i < ma - 1 ? k + mb : -1, x[i] - (x[i - 1] ?? 0), (x[i + 1] ?? 0) - x[i]);
      const gy = finiteDifference(values, k, j > 0 ? k - 1 : -1, j < mb - 1 ? k + 1 : -1, y[j] - (y[j - 1] ?? 0), (y[j + 1] ?? 0) - y[j]);
      const value = isLog ? Math.exp(values[k]) : values[k];
      const chain = isLog ? value : 1;
      packed[4 * k] = hole ? 0 : value;
      packed[4 * k + 1] = hole ? 0 : gx * chain;
      packed[4 * k + 2] = hole ? 0 : gy * chain;
      packed[4 * k + 3] = hole ? HOLE : vertexMask[k];
    }
    for (let k = 0; k < values.length; k++) values[k] = packed[4 * k + 3] < -0.5 ? NaN : packed[4 * k];
  }
}

/** Central difference, one-sided at the rim and next to holes. */
function finiteDifference(v: Float32Array, k: number, before: number, after: number, dBefore: number, dAfter: number): number {
  const left = before >= 0 ? v[k] - v[before] : NaN;
  const right = after >= 0 ? v[after] - v[k] : NaN;
  if (Number.isNaN(left)) return Number.isNaN(right) ? 0 : right / dAfter;
  return Number.isNaN(right) ? left / dBefore : (left + right) / (dBefore + dAfter);
}
