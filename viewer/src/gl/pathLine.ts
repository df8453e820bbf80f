// Line of an optimization path: constant width with a light halo, draped on the surface, dimmed where the surface hides it.
// Where the iterates themselves are far from the plane the line is dashed and fainter: it is only their projection.
import { Color, GreaterDepth, InstancedInterleavedBuffer, InterleavedBufferAttribute, LessEqualDepth } from "three";
import { LineMaterial } from "three/examples/jsm/lines/LineMaterial.js";
import { LineSegments2 } from "three/examples/jsm/lines/LineSegments2.js";
import { LineSegmentsGeometry } from "three/examples/jsm/lines/LineSegmentsGeometry.js";
import { offPlaneFlags } from "../data/offPlane";
import type { PathData } from "../data/types";
import type { WorldCoordinates } from "../math/coordinates";

const Z_OFFSET = 0.006;

/** One drawing of a path: draped on a surface, or flat on a map. */
export class PathLine {
  readonly objects: LineSegments2[];
  private readonly onPlane: LineBatch;
  private readonly offPlane: LineBatch;
  private readonly points: Float32Array;
  private readonly offPlaneFlags: Uint8Array | null;
  private readonly count: number;

  constructor(readonly path: PathData, color: string, world: WorldCoordinates, readonly flat: boolean) {
    const { alpha, beta } = path;
    this.count = alpha.data.length;
    this.offPlaneFlags = offPlaneFlags(path, world.b);
    this.points = new Float32Array(this.count * 3);
    for (let k = 0; k < this.count; k++) this.points.set([world.x(alpha.data[k]), world.y(beta.data[k]), 0], 3 * k);
    const solid = [lineMaterial("#ffffff", flat ? 4.5 : 6, 0.85), lineMaterial(color, flat ? 2.2 : 3, 1)];
    const faint = [dashed(lineMaterial("#ffffff", flat ? 4 : 5, 0.75)), dashed(lineMaterial(color, flat ? 2 : 2.6, 0.9))];
    this.onPlane = new LineBatch(this.count, flat ? solid : [...solid, hiddenLineMaterial(color)]);
    this.offPlane = new LineBatch(this.offPlaneFlags ? this.count : 1, flat ? faint : [...faint, dashed(hiddenLineMaterial(color))]);
    this.objects = [...this.onPlane.objects, ...this.offPlane.objects];
  }

  /** Set the z coordinates from the surface; where the path leaves the surface the line is interrupted. */
  drape(height: (x: number, y: number) => number, world: WorldCoordinates): void {
    for (let k = 0; k < this.count; k++) {
      const value = height(this.points[3 * k], this.points[3 * k + 1]);
      this.points[3 * k + 2] = this.flat ? (Number.isNaN(this.points[3 * k]) ? NaN : Z_OFFSET) : world.z(value) + Z_OFFSET;
    }
  }

  /** Show the path up to the fractional index `until`. */
  showUntil(until: number): void {
    const lastWhole = Math.max(0, Math.min(Math.floor(until), this.count - 1));
    const part = lastWhole < this.count - 1 ? Math.max(0, Math.min(until - lastWhole, 1)) : 0;
    this.onPlane.clear();
    this.offPlane.clear();
    for (let k = 0; k < lastWhole; k++) this.addSegment(k, 1);
    if (part > 0) this.addSegment(lastWhole, part);
    this.onPlane.finish();
    this.offPlane.finish();
  }

  point(k: number, part: number): [number, number, number] | null {
    const at = (axis: number) => {
      const start = this.points[3 * k + axis];
      return part > 0 && k < this.count - 1 ? start + (this.points[3 * (k + 1) + axis] - start) * part : start;
    };
    const p: [number, number, number] = [at(0), at(1), at(2)];
    return p.some(Number.isNaN) ? null : p;
  }

  dispose(): void {
    this.onPlane.dispose();
    this.offPlane.dispose();
  }

  private addSegment(k: number, part: number): void {
    const strokes = this.offPlaneFlags && (this.offPlaneFlags[k] || this.offPlaneFlags[k + 1]) ? this.offPlane : this.onPlane;
    strokes.add(this.points, k, part);
  }
}

/** Segments drawn in one style, as one instanced geometry with a material for each pass. */
export class LineBatch {
  readonly objects: LineSegments2[];
  private readonly geometry = new LineSegmentsGeometry();
  private readonly endpoints: Float32Array;
  private readonly lengths: InstancedInterleavedBuffer;
  private drawn = 0;
  private length = 0;

  constructor(count: number, private readonly materials: LineMaterial[]) {
    const most = Math.max(count - 1, 1);
    this.endpoints = new Float32Array(most * 6);
    this.geometry.setPositions(this.endpoints);
    this.lengths = new InstancedInterleavedBuffer(new Float32Array(most * 2), 2, 1);
    this.geometry.setAttribute("instanceDistanceStart", new InterleavedBufferAttribute(this.lengths, 1, 0));
    this.geometry.setAttribute("instanceDistanceEnd", new InterleavedBufferAttribute(this.lengths, 1, 1));
    this.objects = materials.map((m, k) => {
      const object = new LineSegments2(this.geometry, m);
      object.frustumCulled = false;
      object.renderOrder = k === 2 ? 5 : 6 + k;
      return object;
    });
  }

  clear(): void {
    this.drawn = 0;
    this.length = 0;
  }

  add(points: Float32Array, k: number, part: number): void {
    let square = 0;
    for (let axis = 0; axis < 3; axis++) {
      const [from, to] = [points[3 * k + axis], points[3 * (k + 1) + axis]];
      if (Number.isNaN(from) || Number.isNaN(to)) return;
      const step = (to - from) * part;
      this.endpoints[6 * this.drawn + axis] = from;
      this.endpoints[6 * this.drawn + 3 + axis] = from + step;
      square += step * step;
    }
    const lengths = this.lengths.array as Float32Array;
    lengths[2 * this.drawn] = this.length;
    this.length += Math.sqrt(square);
    lengths[2 * this.drawn + 1] = this.length;
    this.drawn++;
  }

  finish(): void {
    const start = this.geometry.attributes.instanceStart as unknown as { data: { array: Float32Array; needsUpdate: boolean } };
    start.data.array.set(this.endpoints);
    start.data.needsUpdate = true;
    this.lengths.needsUpdate = true;
    this.geometry.instanceCount = this.drawn;
  }

  dispose(): void {
    this.geometry.dispose();
    for (const m of this.materials) m.dispose();
  }
}

export function lineMaterial(color: string, width: number, opacity: number): LineMaterial {
  const m = new LineMaterial({ color: new Color(color).getHex(), linewidth: width, transparent: true, opacity, depthFunc: LessEqualDepth });
  m.depthWrite = false;
  return m;
}

function hiddenLineMaterial(color: string): LineMaterial {
  const m = lineMaterial(color, 2, 0.28);
  m.depthFunc = GreaterDepth;
  return m;
}

/** Dashes with lengths in world units, so that they do not crawl while the camera moves. */
function dashed(m: LineMaterial): LineMaterial {
  Object.assign(m, { dashed: true, dashSize: 0.035, gapSize: 0.022 });
  return m;
}
