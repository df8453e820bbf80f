// A surface as the viewer works with it: raw values by quantity and frame, and the sheet that is drawn.
import { refineAxis, refineFactor, refineGrid, type Axis } from "../math/interpolation";
import { fillUnknown } from "./fillMissing";
import type { FieldData, SurfaceData } from "./types";

export const HOLE = -1000;

export class Surface {
  readonly alpha: ArrayLike<number>;
  readonly beta: ArrayLike<number>;
  readonly na: number;
  readonly nb: number;
  readonly a: Axis;
  readonly b: Axis;
  readonly factor: [number, number];
  /** Cells that are computed; null when all are. */
  known: Uint8Array | null;
  private ranges = new Map<string, Range>();

  constructor(readonly data: SurfaceData) {
    this.alpha = data.alpha.data;
    this.beta = data.beta?.data ?? [0];
    this.na = this.alpha.length;
    this.nb = this.beta.length;
    this.factor = [refineFactor(this.na), refineFactor(this.nb)];
    this.a = refineAxis(this.alpha, this.factor[0]);
    this.b = refineAxis(this.beta, this.factor[1]);
    this.known = data.done ? toMask(data.done.data) : null;
    if (this.known && !this.known.includes(0)) this.known = null;
  }

  get name(): string { return this.data.name; }
  get label(): string { return this.data.label || this.data.name; }
  get isLine(): boolean { return this.data.beta === null; }
  get quantities(): string[] { return Object.keys(this.data.fields); }
  get share(): number { return this.known ? this.known.reduce((n, k) => n + (k ? 1 : 0), 0) / this.known.length : 1; }

  field(quantity: string): FieldData | undefined { return this.data.fields[quantity]; }

  frames(quantity: string): number {
    const shape = this.field(quantity)?.values.shape ?? [];
    return shape.length > (this.isLine ? 1 : 2) ? shape[0] : 1;
  }

  /** Values of one frame with unknown cells filled in for display. */
  filled(quantity: string, frame: number): ArrayLike<number> {
    if (!this.known) return this.raw(quantity, frame);
    const values = Float32Array.from(this.raw(quantity, frame));
    fillUnknown(values, this.known, this.na, this.nb);
    return values;
  }

  /** Values of one frame, a view into the stored array where possible. */
  raw(quantity: string, frame: number): ArrayLike<number> {
    const field = this.field(quantity);
    const size = this.na * this.nb;
    if (!field) return new Float32Array(size).fill(NaN);
    const k = Math.max(0, Math.min(frame, this.frames(quantity) - 1));
    const data = field.values.data as Float32Array;
    return data.subarray(k * size, (k + 1) * size);
  }

  /** Smallest, largest and smallest positive finite computed value over every frame. */
  range(quantity: string): Range {
    const cached = this.ranges.get(quantity);
    if (cached) return cached;
    const found = { low: Infinity, high: -Infinity, positive: Infinity };
    for (let k = 0; k < this.frames(quantity); k++) widen(found, this.raw(quantity, k), this.known);
    this.ranges.set(quantity, found);
    return found;
  }

  /** The smallest computed value of a frame and where it is. */
  minimum(quantity: string, frame: number): { alpha: number; beta: number; value: number } | null {
    const values = this.raw(quantity, frame);
    let best = -1;
    for (let k = 0; k < values.length; k++) {
      if (Number.isFinite(values[k]) && (!this.known || this.known[k]) && (best < 0 || values[k] < values[best])) best = k;
    }
    if (best < 0) return null;
    return { alpha: this.alpha[Math.floor(best / this.nb)], beta: this.beta[best % this.nb], value: values[best] };
  }

  /** New values have come in (live): ranges are stale. */
  touch(): void { this.ranges.clear(); }

  /** Are values better interpolated as logarithms? The same rule as the encoder's. */
  wide(quantity: string): boolean {
    const { low, high } = this.range(quantity);
    return low > 0 && high / low > 20;
  }
}

export interface Range { low: number; high: number; positive: number }

function widen(range: Range, values: ArrayLike<number>, known: Uint8Array | null): void {
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

/** What the GPU reads at each point of the refined grid: value, its slope along x and y, and 1 known, 0 filled in, HOLE. */
export class Sheet {
  readonly packed: Float32Array;
  readonly values: Float32Array;
  private readonly coarse: Float32Array;
  private readonly weight: Float32Array;
  private readonly fineWeight: Float32Array;
  private readonly scratch: Float32Array;
  key = "";

  constructor(readonly surface: Surface) {
    const { na, nb } = surface;
    const size = surface.a.cell.length * surface.b.cell.length;
    this.packed = new Float32Array(size * 4);
    this.values = new Float32Array(size);
    this.coarse = new Float32Array(na * nb);
    this.weight = new Float32Array(na * nb);
    this.fineWeight = new Float32Array(size);
    this.scratch = new Float32Array(na * surface.b.cell.length);
  }

  /** Fill from one frame; `x` and `y` are the world positions of the refined axes. */
  load(quantity: string, frame: number, x: Float64Array, y: Float64Array, shown?: ArrayLike<number>): void {
    const { surface, coarse, weight } = this;
    const { known, na, nb } = surface;
    const wide = surface.wide(quantity);
    const raw = shown ?? surface.raw(quantity, frame);
    for (let k = 0; k < coarse.length; k++) {
      const isKnown = !known || known[k] === 1;
      const holds = Number.isFinite(raw[k]);
      weight[k] = isKnown ? (holds ? 1 : HOLE) : 0;
      coarse[k] = holds ? (wide ? Math.log(raw[k]) : raw[k]) : NaN;
    }
    if (known) fillUnknown(coarse, known, na, nb);
    refineGrid(coarse, na, nb, surface.a, surface.b, this.scratch, this.values);
    this.spreadWeight();
    this.pack(x, y, wide);
  }

  private spreadWeight(): void {
    const { a, b, nb } = this.surface;
    const { weight, fineWeight } = this;
    const mb = b.cell.length;
    for (let i = 0; i < a.cell.length; i++) for (let j = 0; j < mb; j++) {
      const [k, s, t] = [a.cell[i] * nb + b.cell[j], a.share[i], b.share[j]];
      fineWeight[i * mb + j] = (weight[k] * (1 - t) + weight[k + 1] * t) * (1 - s) + (weight[k + nb] * (1 - t) + weight[k + nb + 1] * t) * s;
    }
  }

  private pack(x: Float64Array, y: Float64Array, wide: boolean): void {
    const { values, packed, fineWeight } = this;
    const [ma, mb] = [x.length, y.length];
    for (let i = 0; i < ma; i++) for (let j = 0; j < mb; j++) {
      const k = i * mb + j;
      const hole = fineWeight[k] < -0.001 || Number.isNaN(values[k]);
      const gx = difference(values, k, i > 0 ? k - mb : -1, i < ma - 1 ? k + mb : -1, x[i] - (x[i - 1] ?? 0), (x[i + 1] ?? 0) - x[i]);
      const gy = difference(values, k, j > 0 ? k - 1 : -1, j < mb - 1 ? k + 1 : -1, y[j] - (y[j - 1] ?? 0), (y[j + 1] ?? 0) - y[j]);
      const value = wide ? Math.exp(values[k]) : values[k];
      const chain = wide ? value : 1;
      packed[4 * k] = hole ? 0 : value;
      packed[4 * k + 1] = hole ? 0 : gx * chain;
      packed[4 * k + 2] = hole ? 0 : gy * chain;
      packed[4 * k + 3] = hole ? HOLE : fineWeight[k];
    }
    for (let k = 0; k < values.length; k++) values[k] = packed[4 * k + 3] < -0.5 ? NaN : packed[4 * k];
  }
}

/** Central difference, one-sided at the rim and next to holes. */
function difference(v: Float32Array, k: number, before: number, after: number, dBefore: number, dAfter: number): number {
  const left = before >= 0 ? v[k] - v[before] : NaN;
  const right = after >= 0 ? v[after] - v[k] : NaN;
  if (Number.isNaN(left)) return Number.isNaN(right) ? 0 : right / dAfter;
  return Number.isNaN(right) ? left / dBefore : (left + right) / (dBefore + dAfter);
}
