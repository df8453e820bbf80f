// Inputs shared by the tests: even axes, sampled functions, reproducible random numbers.
import type { PathData, SceneData, SurfaceData } from "../src/data/types";

export const axis = (n: number, from = -1, to = 1) => Float64Array.from({ length: n }, (_, k) => from + ((to - from) * k) / (n - 1));

/** Values of `f` on a grid, in C order. */
export function sampled(a: ArrayLike<number>, b: ArrayLike<number>, f: (a: number, b: number) => number): Float64Array {
  const values = new Float64Array(a.length * b.length);
  for (let i = 0; i < a.length; i++) for (let j = 0; j < b.length; j++) values[i * b.length + j] = f(a[i], b[j]);
  return values;
}

/** Uniform random numbers in [0, 1): a linear congruential generator (Numerical Recipes), the same on every machine. */
export function random(seed: number): () => number {
  let state = seed >>> 0;
  return () => (state = (Math.imul(state, 1664525) + 1013904223) >>> 0) / 2 ** 32;
}

export const numbers = (...data: number[]) => ({ data: Float64Array.from(data), shape: [data.length] });

export function surfaceData(name: string, na: number, nb: number, f: (a: number, b: number) => number = () => 1): SurfaceData {
  const [a, b] = [axis(na), axis(nb)];
  const values = { data: Float32Array.from(sampled(a, b, f)), shape: [na, nb] };
  return {
    name, label: name, alpha: { data: a, shape: [na] }, beta: { data: b, shape: [nb] }, alpha_label: "α", beta_label: "β",
    done: null, origin: null, notes: [], fields: { loss: { values, label: "loss", units: "nats", standard_error: null } },
  };
}

export function pathData(name: string, steps: number[], more: Partial<PathData> = {}): PathData {
  const zeros = numbers(...steps.map(() => 0));
  return {
    name, label: name, alpha: zeros, beta: zeros, step: numbers(...steps), epoch: null, loss: null, accuracy: null, plane_loss: null,
    residual: null, stem: null, surface: null, color: null, dash: "solid", marks: [], notes: [], ...more,
  };
}

export function sceneData(more: Partial<SceneData> = {}): SceneData {
  return {
    panes: [], surfaces: [], paths: [], arrows: [], curves: [], areas: [], colors: [], timeline: null,
    title: "", subtitle: "", notes: [], meta: {}, ...more,
  };
}
