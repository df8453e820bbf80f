// World coordinates: the plane spans [-1, 1] along its longer side, z is up, the floor map lies at z = 0.
import { denormalize, normalize, type Scale } from "./scale";

export const BASE = 0.42;
export const HEIGHT = 0.95;

export class WorldCoordinates {
  readonly halfX: number;
  readonly halfY: number;
  scale: Scale;
  morph = 0;
  exaggeration = 1;

  constructor(readonly a: [number, number], readonly b: [number, number], scale: Scale) {
    const [da, db] = [Math.abs(a[1] - a[0]) || 1, Math.abs(b[1] - b[0]) || 1];
    // Equal units along both axes where the ranges are alike; a long thin plane is stretched to stay readable.
    const ratio = da / db;
    const equal = ratio <= 2.5 && ratio >= 0.4;
    this.halfX = equal && ratio < 1 ? ratio : 1;
    this.halfY = equal && ratio > 1 ? 1 / ratio : 1;
    this.scale = scale;
  }

  x(alpha: number): number { return ((alpha - this.a[0]) / (this.a[1] - this.a[0]) * 2 - 1) * this.halfX; }
  y(beta: number): number { return ((beta - this.b[0]) / (this.b[1] - this.b[0]) * 2 - 1) * this.halfY; }
  alpha(x: number): number { return this.a[0] + (x / this.halfX + 1) / 2 * (this.a[1] - this.a[0]); }
  beta(y: number): number { return this.b[0] + (y / this.halfY + 1) / 2 * (this.b[1] - this.b[0]); }
  normalize(value: number): number { return normalize(this.scale, value, this.morph); }
  z(value: number): number { return BASE + this.normalize(value) * this.height; }
  value(z: number): number { return denormalize(this.scale, (z - BASE) / this.height, this.morph); }
  get height(): number { return HEIGHT * this.exaggeration; }
  get top(): number { return BASE + this.height; }
}
