// Stems: vertical lines from the projection of a path point on the surface to the iterate's own loss, where it is far off the plane.
import { offPlaneFlags } from "../data/offPlane";
import type { PathData } from "../data/types";
import type { WorldCoordinates } from "../math/coordinates";
import { LineBatch, lineMaterial } from "./pathLine";

/** More would be a hedge. */
const MAX_STEMS = 25;
/** World units: shorter stems are not seen. */
const MIN_LENGTH = 0.015;

export class Stems {
  readonly lines: LineBatch;
  private readonly stemIndices: number[];
  private readonly endpoints = new Float32Array(6);

  constructor(readonly path: PathData, color: string, world: WorldCoordinates) {
    const off = offPlaneFlags(path, world.b);
    const far = off && path.loss ? Array.from(off.keys()).filter((k) => off[k]) : [];
    const every = Math.max(1, Math.ceil(far.length / MAX_STEMS));
    this.stemIndices = far.filter((_, n) => n % every === 0 || n === far.length - 1);
    this.lines = new LineBatch(this.stemIndices.length + 1, [lineMaterial("#ffffff", 3.2, 0.55), lineMaterial(color, 1.4, 0.9)]);
  }

  /** Show the stems up to the point `until`; `at` gives the projected point on the surface. */
  showUntil(until: number, at: (k: number) => [number, number, number] | null, world: WorldCoordinates, isLoss: boolean): void {
    this.lines.clear();
    for (const k of isLoss ? this.stemIndices : []) {
      const foot = k <= until + 1e-9 ? at(k) : null;
      const top = Math.max(world.z(world.scale.low), Math.min(world.top, world.z(this.path.loss!.data[k])));
      if (!foot || !Number.isFinite(top) || Math.abs(top - foot[2]) < MIN_LENGTH) continue;
      this.endpoints.set([...foot, foot[0], foot[1], top]);
      this.lines.add(this.endpoints, 0, 1);
    }
    this.lines.finish();
  }
}
