// Monotone cubic and bilinear interpolation on a rectilinear grid.
// Between cells the drawn surface is a monotone cubic (Fritsch-Carlson slopes): it passes through every computed value and
// never rises above or falls below its neighbors along a grid line, so it shows no minimum that was not computed.

/** The refined axis: where each refined column comes from: cell index and share within the cell. */
export interface Axis { positions: Float64Array; cell: Int32Array; fraction: Float64Array }

export function refineAxis(axis: ArrayLike<number>, factor: number): Axis {
  const count = (axis.length - 1) * factor + 1;
  const out: Axis = { positions: new Float64Array(count), cell: new Int32Array(count), fraction: new Float64Array(count) };
  for (let k = 0; k < count; k++) {
    const cell = Math.min(Math.floor(k / factor), axis.length - 2);
    const fraction = (k - cell * factor) / factor;
    out.cell[k] = cell;
    out.fraction[k] = fraction;
    out.positions[k] = axis[cell] + (axis[cell + 1] - axis[cell]) * fraction;
  }
  return out;
}

/** How much finer to draw a grid of `n` cells a side: small grids look like facets otherwise. */
export function refineFactor(n: number, target = 130): number {
  return n >= 100 ? 1 : Math.max(1, Math.min(8, Math.round(target / Math.max(n - 1, 1))));
}

/** Limited slope at the middle of three samples: zero at an extremum, never steeper than three times a neighbor's. */
function harmonicSlope(before: number, after: number): number {
  if (!(before * after > 0)) return 0;
  return (2 * before * after) / (before + after);
}

function hermite(v0: number, v1: number, m0: number, m1: number, t: number): number {
  const t2 = t * t;
  const t3 = t2 * t;
  return v0 * (2 * t3 - 3 * t2 + 1) + m0 * (t3 - 2 * t2 + t) + v1 * (3 * t2 - 2 * t3) + m1 * (t3 - t2);
}

/** Refines `count` samples that lie `stride` apart from `offset`; NaN in a stencil leaves a linear cell. */
export function refineLine(
  source: Float32Array,
  offset: number,
  stride: number,
  count: number,
  axis: Axis,
  out: Float32Array,
  to: number,
  step: number,
): void {
  const at = (k: number) => source[offset + k * stride];
  const secant = (k: number) => (k < 0 || k > count - 2 ? NaN : at(k + 1) - at(k));
  const slopeAt = (k: number) => {
    const [before, after] = [secant(k - 1), secant(k)];
    if (Number.isNaN(before)) return Number.isNaN(after) ? 0 : after;
    return Number.isNaN(after) ? before : harmonicSlope(before, after);
  };
  let [cell, m0, m1] = [-1, 0, 0];
  for (let k = 0; k < axis.cell.length; k++) {
    if (axis.cell[k] !== cell) {
      cell = axis.cell[k];
      m0 = slopeAt(cell);
      m1 = slopeAt(cell + 1);
    }
    const t = axis.fraction[k];
    out[to + k * step] = t === 0 ? at(cell) : t === 1 ? at(cell + 1) : hermite(at(cell), at(cell + 1), m0, m1, t);
  }
}

/** The refined grid, row by row and then column by column. `scratch` holds one pass: at least na x mb numbers. */
export function refineGrid(source: Float32Array, na: number, nb: number, a: Axis, b: Axis, scratch: Float32Array, out: Float32Array): void {
  const mb = b.cell.length;
  for (let i = 0; i < na; i++) refineLine(source, i * nb, 1, nb, b, scratch, i * mb, 1);
  for (let j = 0; j < mb; j++) refineLine(scratch, j, mb, na, a, out, j, mb);
}

/** Bilinear interpolation at the fractional indices (x, y), clamped to the grid. */
export function bilinear(grid: ArrayLike<number>, na: number, nb: number, x: number, y: number): number {
  const i = Math.max(0, Math.min(Math.floor(x), na - 2));
  const j = Math.max(0, Math.min(Math.floor(y), nb - 2));
  const s = Math.max(0, Math.min(x - i, 1));
  const t = Math.max(0, Math.min(y - j, 1));
  const [i1, j1] = [Math.min(i + 1, na - 1), Math.min(j + 1, nb - 1)];
  const low = lerp(grid[i * nb + j], grid[i * nb + j1], t);
  return s === 0 ? low : lerp(low, lerp(grid[i1 * nb + j], grid[i1 * nb + j1], t), s);
}

/** Linear interpolation; a weight of zero ignores its end, even a NaN. */
function lerp(a: number, b: number, t: number): number {
  return t === 0 ? a : t === 1 ? b : a + (b - a) * t;
}

/** The fractional index of `value` on an increasing or decreasing axis; NaN outside. */
export function fractionalIndex(axis: ArrayLike<number>, value: number): number {
  const last = axis.length - 1;
  if (last < 1) return 0;
  const rising = axis[last] > axis[0];
  const slack = Math.abs(axis[last] - axis[0]) * 1e-9;
  let [low, high] = [0, last];
  if (rising ? value < axis[0] - slack || value > axis[last] + slack : value > axis[0] + slack || value < axis[last] - slack) return NaN;
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (axis[middle] <= value === rising) low = middle;
    else high = middle;
  }
  return low + Math.max(0, Math.min(1, (value - axis[low]) / (axis[high] - axis[low])));
}
