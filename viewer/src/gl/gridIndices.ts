// Triangle indices of a grid at several strides over the same vertices, in strips of 16 columns that suit the vertex cache.

export function gridIndices(na: number, nb: number, stride: number): Uint32Array {
  const rows = stridedIndices(na, stride);
  const columns = stridedIndices(nb, stride);
  const out = new Uint32Array((rows.length - 1) * (columns.length - 1) * 6);
  let at = 0;
  for (let strip = 0; strip < columns.length - 1; strip += 16) {
    const end = Math.min(strip + 16, columns.length - 1);
    for (let r = 0; r < rows.length - 1; r++) for (let c = strip; c < end; c++) {
      const [a, b] = [rows[r] * nb, rows[r + 1] * nb];
      const [j, k] = [columns[c], columns[c + 1]];
      out.set([a + j, b + j, b + k, a + j, b + k, a + k], at);
      at += 6;
    }
  }
  return out;
}

/** Every `stride`-th index and the last one. */
export function stridedIndices(n: number, stride: number): number[] {
  const out: number[] = [];
  for (let k = 0; k < n - 1; k += stride) out.push(k);
  out.push(n - 1);
  return out;
}
