// Stems: from a path's shadow on the sheet up or down to the loss that the iterate itself had, where it is far off the plane.
import { offPlane } from "../data/offPlane";
import type { PathData } from "../data/types";
import type { World } from "../math/coordinates";
import { Strokes, material } from "./pathLine";

/** More would be a hedge. */
const MOST = 25;
/** World units: shorter stems are not seen. */
const SHORTEST = 0.015;

export class Stems {
  readonly strokes: Strokes;
  private readonly chosen: number[];
  private readonly ends = new Float32Array(6);

  constructor(readonly path: PathData, color: string, world: World) {
    const off = offPlane(path, world.b);
    const far = off && path.loss ? Array.from(off.keys()).filter((k) => off[k]) : [];
    const every = Math.max(1, Math.ceil(far.length / MOST));
    this.chosen = far.filter((_, n) => n % every === 0 || n === far.length - 1);
    this.strokes = new Strokes(this.chosen.length + 1, [material("#ffffff", 3.2, 0.55), material(color, 1.4, 0.9)]);
  }

  /** Stand up to the point `until`; `at` gives the shadow's place on the sheet. */
  show(until: number, at: (k: number) => [number, number, number] | null, world: World, isLoss: boolean): void {
    this.strokes.clear();
    for (const k of isLoss ? this.chosen : []) {
      const foot = k <= until + 1e-9 ? at(k) : null;
      const top = Math.max(world.z(world.scale.low), Math.min(world.top, world.z(this.path.loss!.data[k])));
      if (!foot || !Number.isFinite(top) || Math.abs(top - foot[2]) < SHORTEST) continue;
      this.ends.set([...foot, foot[0], foot[1], top]);
      this.strokes.add(this.ends, 0, 1);
    }
    this.strokes.finish();
  }
}
