// One surface in the 3-D scene: its sheet, its map on the floor, and the same map for the contour pane.
import { BufferAttribute, BufferGeometry, Color, DoubleSide, GLSL3, LessEqualDepth, Mesh, ShaderMaterial, Vector2 } from "three";
import type { Surface } from "../data/surface";
import type { World } from "../math/coordinates";
import { sample, type Grid } from "../math/ray";
import { Frames } from "./framePair";
import { gridIndices } from "./gridIndices";
import { mapFragment, mapVertex, surfaceFragment, surfaceVertex } from "./shaders";
import type { Shared } from "./uniforms";

export class Layer {
  readonly frames: Frames;
  readonly sheet: Mesh<BufferGeometry, ShaderMaterial>;
  /** Writes depth only, so that a translucent sheet shows its nearest fold and no others. */
  readonly prepass: Mesh<BufferGeometry, ShaderMaterial>;
  readonly floor: Mesh<BufferGeometry, ShaderMaterial>;
  readonly map: Mesh<BufferGeometry, ShaderMaterial>;
  private readonly levels = new Map<number, BufferAttribute>();
  private readonly blend = { value: 0 };

  constructor(readonly surface: Surface, world: World, private readonly shared: Shared, readonly tint: string) {
    this.frames = new Frames(surface, world);
    const geometry = this.geometry();
    const material = this.surfaceMaterial(shared);
    this.sheet = new Mesh(geometry, material);
    const depthOnly = material.clone();
    Object.assign(depthOnly.uniforms, material.uniforms);
    depthOnly.colorWrite = false;
    this.prepass = new Mesh(geometry, depthOnly);
    const plane = this.mapGeometry();
    this.floor = new Mesh(plane, this.mapMaterial(shared, 1, 0));
    this.map = new Mesh(plane, this.mapMaterial(shared, 0, 1));
    for (const mesh of [this.sheet, this.prepass, this.floor, this.map]) mesh.frustumCulled = false;
    this.sheet.renderOrder = 2;
    this.prepass.renderOrder = 1;
  }

  show(quantity: string, frame: number): boolean {
    const changed = this.frames.show(quantity, frame);
    this.blend.value = this.frames.blend;
    const { first, attributes, textures } = this.frames;
    // With one frame only, the second slot is never filled: both names then point to the first.
    const second = this.frames.blend === 0 ? first : 1 - first;
    this.sheet.geometry.setAttribute("f0", attributes[first]);
    this.sheet.geometry.setAttribute("f1", attributes[second]);
    for (const mesh of [this.floor, this.map]) {
      mesh.material.uniforms.uFrame0.value = textures[first];
      mesh.material.uniforms.uFrame1.value = textures[second];
    }
    return changed;
  }

  /** Triangles of every `stride`-th row and column. */
  coarseness(stride: number): void {
    const { x, y } = this.frames;
    if (!this.levels.has(stride)) this.levels.set(stride, new BufferAttribute(gridIndices(x.length, y.length, stride), 1));
    const index = this.levels.get(stride)!;
    if (this.sheet.geometry.index !== index) this.sheet.geometry.setIndex(index);
  }

  style(options: { opacity: number; tintShare: number; mesh: number; wire: boolean; meshColor: string }): void {
    const u = this.sheet.material.uniforms;
    u.uOpacity.value = options.opacity;
    u.uTintShare.value = options.tintShare;
    u.uMesh.value = options.mesh;
    u.uWire.value = options.wire ? 1 : 0;
    u.uMeshColor.value.set(options.meshColor);
    u.uContours = options.tintShare > 0 ? { value: 0 } : this.shared.uContours;
    const translucent = options.opacity < 1;
    this.sheet.material.transparent = translucent;
    this.sheet.material.depthWrite = !translucent;
    this.sheet.renderOrder = translucent ? 4 : 2;
    this.prepass.renderOrder = 3;
    this.prepass.visible = translucent;
  }

  /** The drawn value at a place of the plane (world units). */
  at(x: number, y: number): number {
    const { sheets, first, blend } = this.frames;
    const grid = (slot: number): Grid => ({ x: this.frames.x, y: this.frames.y, values: sheets[slot].values });
    const low = sample(grid(first), x, y);
    return blend === 0 ? low : low + (sample(grid(1 - first), x, y) - low) * blend;
  }

  dispose(): void {
    this.frames.dispose();
    for (const mesh of [this.sheet, this.prepass, this.floor, this.map]) {
      mesh.geometry.dispose();
      mesh.material.dispose();
    }
  }

  private geometry(): BufferGeometry {
    const { x, y, attributes, q } = this.frames;
    const { factor } = this.surface;
    const positions = new Float32Array(x.length * y.length * 3);
    const ij = new Float32Array(x.length * y.length * 2);
    for (let i = 0; i < x.length; i++) for (let j = 0; j < y.length; j++) {
      const k = i * y.length + j;
      positions.set([x[i], y[j], 0], 3 * k);
      ij.set([i / factor[0], j / factor[1]], 2 * k);
    }
    const geometry = new BufferGeometry();
    geometry.setAttribute("position", new BufferAttribute(positions, 3));
    geometry.setAttribute("ij", new BufferAttribute(ij, 2));
    geometry.setAttribute("f0", attributes[0]);
    geometry.setAttribute("f1", attributes[1]);
    geometry.setAttribute("q", q);
    geometry.setIndex(new BufferAttribute(gridIndices(x.length, y.length, 1), 1));
    this.levels.set(1, geometry.index as BufferAttribute);
    return geometry;
  }

  /** One quad where the axes are even; else one per cell, so that positions and indices agree. */
  private mapGeometry(): BufferGeometry {
    const { x, y } = this.frames;
    const rows = even(x) ? [0, x.length - 1] : [...x.keys()];
    const columns = even(y) ? [0, y.length - 1] : [...y.keys()];
    const positions: number[] = [];
    const ij: number[] = [];
    for (const i of rows) for (const j of columns) {
      positions.push(x[i], y[j], 0);
      ij.push(i, j);
    }
    const geometry = new BufferGeometry();
    geometry.setAttribute("position", new BufferAttribute(Float32Array.from(positions), 3));
    geometry.setAttribute("ij", new BufferAttribute(Float32Array.from(ij), 2));
    geometry.setIndex(new BufferAttribute(gridIndices(rows.length, columns.length, 1), 1));
    return geometry;
  }

  private surfaceMaterial(shared: Shared): ShaderMaterial {
    const { na, nb } = this.surface;
    const meshStep = new Vector2(meshStride(na), meshStride(nb));
    const own = { uBlend: this.blend, uTint: { value: new Color(this.tint) }, uTintShare: { value: 0 }, uOpacity: { value: 1 }, uMesh: { value: 0 }, uWire: { value: 0 }, uMeshStep: { value: meshStep }, uMeshColor: { value: new Color(0x0b1020) }, uShift: { value: 0 } };
    const material = new ShaderMaterial({ glslVersion: GLSL3, vertexShader: surfaceVertex, fragmentShader: surfaceFragment, side: DoubleSide, polygonOffset: true, polygonOffsetFactor: 1, polygonOffsetUnits: 2, depthFunc: LessEqualDepth });
    material.uniforms = { ...shared, ...own };
    return material;
  }

  private mapMaterial(shared: Shared, floor: number, relief: number): ShaderMaterial {
    const { textures, qTexture } = this.frames;
    const own = { uBlend: this.blend, uFrame0: { value: textures[0] }, uFrame1: { value: textures[1] }, uQ: { value: qTexture }, uOpacity: { value: 1 }, uRelief: { value: relief * 0.7 }, uFloor: { value: floor ? 0.45 : 1 }, uFloorZ: { value: 0 } };
    const material = new ShaderMaterial({ glslVersion: GLSL3, vertexShader: mapVertex, fragmentShader: mapFragment, side: DoubleSide });
    material.uniforms = { ...shared, ...own };
    return material;
  }
}

/** Mesh lines stand on computed cells, at most about fifty along an axis. */
function meshStride(n: number): number {
  return Math.max(1, Math.ceil((n - 1) / 50));
}

function even(axis: Float64Array): boolean {
  const step = (axis[axis.length - 1] - axis[0]) / (axis.length - 1);
  return axis.every((v, k) => Math.abs(v - axis[0] - k * step) < 1e-6 * Math.abs(axis[axis.length - 1] - axis[0]));
}
