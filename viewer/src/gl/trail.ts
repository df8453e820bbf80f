// An optimizer's path: a line of constant width with a light halo, draped on a sheet, and dimmed where a ridge hides it.
import { Color, GreaterDepth, LessEqualDepth } from "three";
import { LineMaterial } from "three/examples/jsm/lines/LineMaterial.js";
import { LineSegments2 } from "three/examples/jsm/lines/LineSegments2.js";
import { LineSegmentsGeometry } from "three/examples/jsm/lines/LineSegmentsGeometry.js";
import type { PathData } from "../data/types";
import type { World } from "../math/world";

const LIFT = 0.006;

/** One drawing of the path: on a sheet (`height` given) or flat on a map. */
export class Trail {
  readonly geometry = new LineSegmentsGeometry();
  readonly objects: LineSegments2[];
  private readonly materials: LineMaterial[];
  private readonly points: Float32Array;
  private readonly segments: Float32Array;
  private readonly count: number;

  constructor(readonly path: PathData, color: string, world: World, readonly flat: boolean) {
    const { alpha, beta } = path;
    this.count = alpha.data.length;
    this.points = new Float32Array(this.count * 3);
    this.segments = new Float32Array(Math.max(this.count - 1, 1) * 6);
    for (let k = 0; k < this.count; k++) this.points.set([world.x(alpha.data[k]), world.y(beta.data[k]), 0], 3 * k);
    this.geometry.setPositions(this.segments);
    const halo = material("#ffffff", flat ? 4.5 : 6, 0.85);
    const line = material(color, flat ? 2.2 : 3, 1);
    this.materials = flat ? [halo, line] : [halo, line, hidden(color)];
    this.objects = this.materials.map((m, k) => {
      const object = new LineSegments2(this.geometry, m);
      object.frustumCulled = false;
      object.renderOrder = k === 2 ? 5 : 6 + k;
      return object;
    });
  }

  /** Put the path on the sheet; where it leaves the sheet the line is interrupted. */
  drape(height: (x: number, y: number) => number, world: World): void {
    for (let k = 0; k < this.count; k++) {
      const value = height(this.points[3 * k], this.points[3 * k + 1]);
      this.points[3 * k + 2] = this.flat ? (Number.isNaN(this.points[3 * k]) ? NaN : LIFT) : world.z(value) + LIFT;
    }
  }

  /** Show the path up to the fractional index `until`; returns the world position of its head. */
  reveal(until: number): [number, number, number] | null {
    const whole = Math.max(0, Math.min(Math.floor(until), this.count - 1));
    const part = whole < this.count - 1 ? Math.max(0, Math.min(until - whole, 1)) : 0;
    let drawn = 0;
    for (let k = 0; k < whole; k++) drawn = this.segment(drawn, k, 1);
    if (part > 0) drawn = this.segment(drawn, whole, part);
    const start = this.geometry.attributes.instanceStart as unknown as { data: { array: Float32Array; needsUpdate: boolean } };
    start.data.array.set(this.segments);
    start.data.needsUpdate = true;
    this.geometry.instanceCount = drawn;
    return this.point(whole, part);
  }

  point(k: number, part: number): [number, number, number] | null {
    const at = (axis: number) => {
      const here = this.points[3 * k + axis];
      return part > 0 && k < this.count - 1 ? here + (this.points[3 * (k + 1) + axis] - here) * part : here;
    };
    const p: [number, number, number] = [at(0), at(1), at(2)];
    return p.some(Number.isNaN) ? null : p;
  }

  dispose(): void {
    this.geometry.dispose();
    for (const m of this.materials) m.dispose();
  }

  private segment(drawn: number, k: number, part: number): number {
    for (let axis = 0; axis < 3; axis++) {
      const [from, to] = [this.points[3 * k + axis], this.points[3 * (k + 1) + axis]];
      if (Number.isNaN(from) || Number.isNaN(to)) return drawn;
      this.segments[6 * drawn + axis] = from;
      this.segments[6 * drawn + 3 + axis] = from + (to - from) * part;
    }
    return drawn + 1;
  }
}

function material(color: string, width: number, opacity: number): LineMaterial {
  const m = new LineMaterial({ color: new Color(color).getHex(), linewidth: width, transparent: true, opacity, depthFunc: LessEqualDepth });
  m.depthWrite = false;
  return m;
}

function hidden(color: string): LineMaterial {
  const m = material(color, 2, 0.28);
  m.depthFunc = GreaterDepth;
  return m;
}
