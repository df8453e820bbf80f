// Meshes of one surface: the 3-D surface, its map on the floor, and the same map for the contour pane.
import { BufferAttribute, BufferGeometry, Color, DoubleSide, GLSL3, LessEqualDepth, Mesh, ShaderMaterial, Vector2 } from "three";
import type { Surface } from "../data/surface";
import type { WorldCoordinates } from "../math/coordinates";
import { sampleGrid, type Grid } from "../math/ray";
import { FramePair } from "./framePair";
import { gridIndices } from "./gridIndices";
import { mapFragment, mapVertex, surfaceFragment, surfaceVertex } from "./shaders";
import type { SharedUniforms } from "./uniforms";

export class SurfaceMesh {
  readonly framePair: FramePair;
  readonly mesh: Mesh<BufferGeometry, ShaderMaterial>;
  /** Writes depth only, so that a translucent surface shows its nearest fold and no others. */
  readonly depthPrepass: Mesh<BufferGeometry, ShaderMaterial>;
  readonly floorMap: Mesh<BufferGeometry, ShaderMaterial>;
  readonly contourMap: Mesh<BufferGeometry, ShaderMaterial>;
  private readonly indexBuffers = new Map<number, BufferAttribute>();
  private readonly blend = { value: 0 };

  constructor(readonly surface: Surface, world: WorldCoordinates, private readonly uniforms: SharedUniforms, readonly tint: string) {
    this.framePair = new FramePair(surface, world);
    const geometry = this.geometry();
    const material = this.surfaceMaterial(uniforms);
    this.mesh = new Mesh(geometry, material);
    const depthOnly = material.clone();
    Object.assign(depthOnly.uniforms, material.uniforms);
    depthOnly.colorWrite = false;
    this.depthPrepass = new Mesh(geometry, depthOnly);
    const plane = this.mapGeometry();
    this.floorMap = new Mesh(plane, this.mapMaterial(uniforms, 1, 0));
    this.contourMap = new Mesh(plane, this.mapMaterial(uniforms, 0, 1));
    for (const mesh of [this.mesh, this.depthPrepass, this.floorMap, this.contourMap]) mesh.frustumCulled = false;
    this.mesh.renderOrder = 2;
    this.depthPrepass.renderOrder = 1;
  }

  showFrame(quantity: string, frame: number): boolean {
    const changed = this.framePair.showFrame(quantity, frame);
    this.blend.value = this.framePair.blend;
    const { first, attributes, textures } = this.framePair;
    // With one frame only, the second slot is never filled: both names then point to the first.
    const second = this.framePair.blend === 0 ? first : 1 - first;
    this.mesh.geometry.setAttribute("f0", attributes[first]);
    this.mesh.geometry.setAttribute("f1", attributes[second]);
    for (const mesh of [this.floorMap, this.contourMap]) {
      mesh.material.uniforms.uFrame0.value = textures[first];
      mesh.material.uniforms.uFrame1.value = textures[second];
    }
    return changed;
  }

  /** Triangles of every `stride`-th row and column. */
  setStride(stride: number): void {
    const { x, y } = this.framePair;
    if (!this.indexBuffers.has(stride)) this.indexBuffers.set(stride, new BufferAttribute(gridIndices(x.length, y.length, stride), 1));
    const index = this.indexBuffers.get(stride)!;
    if (this.mesh.geometry.index !== index) this.mesh.geometry.setIndex(index);
  }

  setStyle(options: { opacity: number; tintShare: number; mesh: number; wire: boolean; meshColor: string }): void {
    const u = this.mesh.material.uniforms;
    u.uOpacity.value = options.opacity;
    u.uTintShare.value = options.tintShare;
    u.uMesh.value = options.mesh;
    u.uWire.value = options.wire ? 1 : 0;
    u.uMeshColor.value.set(options.meshColor);
    u.uContours = options.tintShare > 0 ? { value: 0 } : this.uniforms.uContours;
    const translucent = options.opacity < 1;
    this.mesh.material.transparent = translucent;
    this.mesh.material.depthWrite = !translucent;
    this.mesh.renderOrder = translucent ? 4 : 2;
    this.depthPrepass.renderOrder = 3;
    this.depthPrepass.visible = translucent;
  }

  /** The drawn value at a position on the plane (world units). */
  valueAt(x: number, y: number): number {
    const { vertexData, first, blend } = this.framePair;
    const grid = (slot: number): Grid => ({ x: this.framePair.x, y: this.framePair.y, values: vertexData[slot].values });
    const low = sampleGrid(grid(first), x, y);
    return blend === 0 ? low : low + (sampleGrid(grid(1 - first), x, y) - low) * blend;
  }

  dispose(): void {
    this.framePair.dispose();
    for (const mesh of [this.mesh, this.depthPrepass, this.floorMap, this.contourMap]) {
      mesh.geometry.dispose();
      mesh.material.dispose();
    }
  }

  private geometry(): BufferGeometry {
    const { x, y, attributes, colorAttribute } = this.framePair;
    const { refinement } = this.surface;
    const positions = new Float32Array(x.length * y.length * 3);
    const ij = new Float32Array(x.length * y.length * 2);
    for (let i = 0; i < x.length; i++) for (let j = 0; j < y.length; j++) {
      const k = i * y.length + j;
      positions.set([x[i], y[j], 0], 3 * k);
      ij.set([i / refinement[0], j / refinement[1]], 2 * k);
    }
    const geometry = new BufferGeometry();
    geometry.setAttribute("position", new BufferAttribute(positions, 3));
    geometry.setAttribute("ij", new BufferAttribute(ij, 2));
    geometry.setAttribute("f0", attributes[0]);
    geometry.setAttribute("f1", attributes[1]);
    geometry.setAttribute("q", colorAttribute);
    geometry.setIndex(new BufferAttribute(gridIndices(x.length, y.length, 1), 1));
    this.indexBuffers.set(1, geometry.index as BufferAttribute);
    return geometry;
  }

  /** One quad where the axes are even; else one per cell, so that positions and indices agree. */
  private mapGeometry(): BufferGeometry {
    const { x, y } = this.framePair;
    const rows = isEvenlySpaced(x) ? [0, x.length - 1] : [...x.keys()];
    const columns = isEvenlySpaced(y) ? [0, y.length - 1] : [...y.keys()];
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

  private surfaceMaterial(shared: SharedUniforms): ShaderMaterial {
    const { na, nb } = this.surface;
    const meshStep = new Vector2(meshLineStride(na), meshLineStride(nb));
    const uniforms = {
      uBlend: this.blend,
      uTint: { value: new Color(this.tint) },
      uTintShare: { value: 0 },
      uOpacity: { value: 1 },
      uMesh: { value: 0 },
      uWire: { value: 0 },
      uMeshStep: { value: meshStep },
      uMeshColor: { value: new Color(0x0b1020) },
      uShift: { value: 0 },
    };
    const material = new ShaderMaterial({
      glslVersion: GLSL3,
      vertexShader: surfaceVertex,
      fragmentShader: surfaceFragment,
      side: DoubleSide,
      polygonOffset: true,
      polygonOffsetFactor: 1,
      polygonOffsetUnits: 2,
      depthFunc: LessEqualDepth,
    });
    material.uniforms = { ...shared, ...uniforms };
    return material;
  }

  private mapMaterial(shared: SharedUniforms, floor: number, relief: number): ShaderMaterial {
    const { textures, colorTexture } = this.framePair;
    const uniforms = {
      uBlend: this.blend,
      uFrame0: { value: textures[0] },
      uFrame1: { value: textures[1] },
      uQ: { value: colorTexture },
      uOpacity: { value: 1 },
      uRelief: { value: relief * 0.7 },
      uFloor: { value: floor ? 0.45 : 1 },
      uFloorZ: { value: 0 },
    };
    const material = new ShaderMaterial({ glslVersion: GLSL3, vertexShader: mapVertex, fragmentShader: mapFragment, side: DoubleSide });
    material.uniforms = { ...shared, ...uniforms };
    return material;
  }
}

/** Mesh lines lie on computed cells, at most about fifty along an axis. */
function meshLineStride(n: number): number {
  return Math.max(1, Math.ceil((n - 1) / 50));
}

function isEvenlySpaced(axis: Float64Array): boolean {
  const step = (axis[axis.length - 1] - axis[0]) / (axis.length - 1);
  return axis.every((v, k) => Math.abs(v - axis[0] - k * step) < 1e-6 * Math.abs(axis[axis.length - 1] - axis[0]));
}
