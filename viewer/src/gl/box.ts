// The thin frame round the landscape: only the edges behind it, so that nothing crosses the picture.
import { BufferAttribute, BufferGeometry, Color, LineBasicMaterial, LineSegments } from "three";
import { axes, type Camera } from "../math/camera";
import type { World } from "../math/world";

export class Box {
  readonly lines: LineSegments<BufferGeometry, LineBasicMaterial>;
  private readonly positions = new Float32Array(3 * 2 * 80);

  constructor() {
    const geometry = new BufferGeometry();
    geometry.setAttribute("position", new BufferAttribute(this.positions, 3));
    this.lines = new LineSegments(geometry, new LineBasicMaterial({ color: 0x8a93a6, transparent: true, opacity: 0.55 }));
    this.lines.frustumCulled = false;
  }

  ink(color: string, opacity: number): void {
    this.lines.material.color = new Color(color);
    this.lines.material.opacity = opacity;
  }

  /** Edges of the two far walls and of the floor, and the walls' height lines at `levels` (world z). */
  update(world: World, camera: Camera, levels: number[]): void {
    const { halfX: X, halfY: Y, top } = world;
    const { back } = axes(camera);
    const [farX, farY] = [back[0] > 0 ? -X : X, back[1] > 0 ? -Y : Y];
    const flat = camera.elevation > 80;
    let at = 0;
    const line = (...p: number[]) => { if (at + 6 <= this.positions.length) this.positions.set(p, at), (at += 6); };
    line(-X, -Y, 0, X, -Y, 0); line(-X, Y, 0, X, Y, 0); line(-X, -Y, 0, -X, Y, 0); line(X, -Y, 0, X, Y, 0);
    if (!flat) {
      for (const z of [...levels, top]) {
        line(-X, farY, z, X, farY, z);
        line(farX, -Y, z, farX, Y, z);
      }
      line(farX, farY, 0, farX, farY, top); line(-farX, farY, 0, -farX, farY, top); line(farX, -farY, 0, farX, -farY, top);
    }
    this.lines.geometry.setDrawRange(0, at / 3);
    (this.lines.geometry.attributes.position as BufferAttribute).needsUpdate = true;
  }
}
