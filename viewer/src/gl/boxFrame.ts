// Bounding box of the plot: only the edges behind the surface, so that no line crosses the picture.
import { Color } from "three";
import { LineMaterial } from "three/examples/jsm/lines/LineMaterial.js";
import { LineSegments2 } from "three/examples/jsm/lines/LineSegments2.js";
import { LineSegmentsGeometry } from "three/examples/jsm/lines/LineSegmentsGeometry.js";
import { viewAxes, type Camera } from "../math/camera";
import type { WorldCoordinates } from "../math/coordinates";

const MAX_LINES = 60;

export class BoxFrame {
  readonly lines: LineSegments2;
  private readonly geometry = new LineSegmentsGeometry();
  private readonly material = new LineMaterial({ linewidth: 1, transparent: true, opacity: 0.5 });

  constructor() {
    this.geometry.setPositions(new Float32Array(MAX_LINES * 6));
    this.lines = new LineSegments2(this.geometry, this.material);
    this.lines.frustumCulled = false;
  }

  setColor(color: string, opacity: number): void {
    this.material.color = new Color(color);
    this.material.opacity = opacity;
  }

  /** Edges of the two far walls and of the floor, and the walls' height lines at `levels` (world z). */
  update(world: WorldCoordinates, camera: Camera, levels: number[]): void {
    const { halfX: X, halfY: Y, top } = world;
    const { back } = viewAxes(camera);
    const [farX, farY] = [back[0] > 0 ? -X : X, back[1] > 0 ? -Y : Y];
    const { data } = this.geometry.attributes.instanceStart as unknown as { data: { array: Float32Array; needsUpdate: boolean } };
    let at = 0;
    const line = (...p: number[]) => { if (at < MAX_LINES) data.array.set(p, 6 * at++); };
    line(-X, -Y, 0, X, -Y, 0); line(-X, Y, 0, X, Y, 0); line(-X, -Y, 0, -X, Y, 0); line(X, -Y, 0, X, Y, 0);
    if (camera.elevation <= 80) {
      for (const z of [...levels, top]) { line(-X, farY, z, X, farY, z); line(farX, -Y, z, farX, Y, z); }
      line(farX, farY, 0, farX, farY, top); line(-farX, farY, 0, -farX, farY, top); line(farX, -farY, 0, farX, -farY, top);
    }
    data.needsUpdate = true;
    this.geometry.instanceCount = at;
  }
}
