// Tick positions for linear, log and symmetric log axes, and number formatting.

/** A round step (1, 2 or 5 times a power of ten) that cuts the range into about `count` parts. */
export function niceStep(range: number, count: number): number {
  if (!(range > 0) || !Number.isFinite(range)) return 1;
  const rough = range / Math.max(count, 1);
  const power = 10 ** Math.floor(Math.log10(rough));
  const mantissa = rough / power;
  return power * (mantissa < 1.5 ? 1 : mantissa < 3.5 ? 2 : mantissa < 7.5 ? 5 : 10);
}

export function linearTicks(low: number, high: number, count = 5): number[] {
  const step = niceStep(high - low, count);
  const first = Math.ceil(low / step - 1e-9);
  const last = Math.floor(high / step + 1e-9);
  const ticks: number[] = [];
  for (let k = first; k <= last && ticks.length < 50; k++) ticks.push(k * step);
  return ticks;
}

/** Powers of ten in the range, with 2 and 5 between them where there is room. */
export function logTicks(low: number, high: number, count = 5): number[] {
  if (!(low > 0)) return linearTicks(low, high, count);
  const decades = Math.log10(high / low);
  if (decades < 0.7) return linearTicks(low, high, count);
  const mantissas = decades < 1.6 ? [1, 2, 3, 5, 7] : decades < 3.2 ? [1, 2, 5] : [1];
  const stride = decades > count * 1.6 ? Math.ceil(decades / count) : 1;
  const ticks: number[] = [];
  for (let power = Math.floor(Math.log10(low)); power <= Math.ceil(Math.log10(high)); power++) {
    if (((power % stride) + stride) % stride) continue;
    for (const mantissa of mantissas) {
      const value = mantissa * 10 ** power;
      if (value >= low * 0.999 && value <= high * 1.001) ticks.push(value);
    }
  }
  return ticks;
}

/** Ticks of a symmetric logarithm: zero, and powers of ten to both sides. */
export function symlogTicks(low: number, high: number, knee: number): number[] {
  const positive = high > knee ? logTicks(knee * 3, high, 3) : [];
  const negative = low < -knee ? logTicks(knee * 3, -low, 3).map((v) => -v).reverse() : [];
  return [...negative, ...(low <= 0 && high >= 0 ? [0] : []), ...positive];
}

/** "0.097", "1,240", "2.6e5": a few significant digits, with a true minus sign. */
export function formatNumber(value: number, digits = 3): string {
  if (Number.isNaN(value)) return "not a number";
  if (!Number.isFinite(value)) return value > 0 ? "∞" : "−∞";
  if (value === 0) return "0";
  const size = Math.abs(value);
  let text: string;
  if (size >= 1e5 || size < 1e-3) text = tidyExponent(value.toExponential(Math.max(digits - 2, 1)));
  else if (size >= 1000) text = Math.round(value).toLocaleString("en-US");
  else text = String(Number(value.toPrecision(digits)));
  return text.replace("-", "−").replace("e−", "e-");
}

function tidyExponent(text: string): string {
  return text.replace(/\.?0+e/, "e").replace("e+", "e");
}

/** Decimal places that tell neighboring ticks apart. */
export function formatTick(value: number, step: number): string {
  if (Math.abs(value) < step * 1e-6) return "0";
  if (Math.abs(value) >= 1e5 || step < 1e-4) return formatNumber(value, 3);
  const places = Math.max(0, Math.min(6, -Math.floor(Math.log10(step) + 1e-9)));
  return value.toFixed(places).replace("-", "−");
}

/** Numbers as text with as many digits as it takes to tell them apart: three at least, six at most. */
export function formatAll(values: number[]): string[] {
  const tried = [3, 4, 5, 6].map((digits) => values.map((value) => formatNumber(value, digits)));
  const different = tried.map((text) => new Set(text).size);
  return tried[different.indexOf(Math.max(...different))];
}
export function formatPercent(fraction: number): string {
  const value = fraction * 100;
  return `${value < 1 ? value.toFixed(1) : value > 99 && value < 100 ? "99+" : Math.round(value)} %`;
}
