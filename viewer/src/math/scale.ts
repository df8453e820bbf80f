// Linear, log and symmetric log normalization of values to [0, 1], and blends of linear and log.

export type Curve = "log" | "symlog";

export interface Scale {
  low: number;
  high: number;
  /** What "log" means here: the logarithm, or asinh(v / knee) where values are zero or negative. */
  curve: Curve;
  linearThreshold: number;
}

export function makeScale(low: number, high: number, positiveLow: number): Scale {
  if (!(high > low)) [low, high] = widenConstant(low);
  if (low > 0) return { low, high, curve: "log", linearThreshold: 1 };
  const linearThreshold = Math.max(Number.isFinite(positiveLow) ? positiveLow : 0, Math.max(Math.abs(low), Math.abs(high)) * 1e-3);
  return { low, high, curve: "symlog", linearThreshold };
}

/** A constant surface still needs a range: ten percent to either side of its value. */
function widenConstant(value: number): [number, number] {
  const margin = Math.abs(value) * 0.1 || 1;
  return [value - margin, value + margin];
}

export function transform(scale: Scale, value: number): number {
  return scale.curve === "log" ? Math.log(Math.max(value, 1e-30)) : Math.asinh(value / scale.linearThreshold);
}

export function inverseTransform(scale: Scale, transformed: number): number {
  return scale.curve === "log" ? Math.exp(transformed) : Math.sinh(transformed) * scale.linearThreshold;
}

/** Share of the range in [0, 1] (outside it for values outside), for morph 0 (linear) to 1 (log). */
export function normalize(scale: Scale, value: number, morph: number): number {
  const { low, high } = scale;
  const linear = (value - low) / (high - low);
  if (morph === 0) return linear;
  const bentLow = transform(scale, low);
  const log = (transform(scale, value) - bentLow) / (transform(scale, high) - bentLow);
  return linear + (log - linear) * morph;
}

/** The value at a share of the range; inverse of `share` (bisection while morphing). */
export function denormalize(scale: Scale, at: number, morph: number): number {
  const { low, high } = scale;
  if (morph === 0) return low + (high - low) * at;
  if (morph === 1) {
    const bentLow = transform(scale, low);
    return inverseTransform(scale, bentLow + (transform(scale, high) - bentLow) * at);
  }
  let [a, b] = [low, high];
  for (let k = 0; k < 48; k++) {
    const middle = (a + b) / 2;
    if (normalize(scale, middle, morph) < at) a = middle;
    else b = middle;
  }
  return (a + b) / 2;
}
