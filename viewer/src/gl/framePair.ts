// Two neighboring frames of a surface on the GPU: vertex attributes for the 3-D mesh, textures for the maps.
import { BufferAttribute, DataTexture, DynamicDrawUsage, FloatType, NearestFilter, RGBAFormat, RGFormat } from "three";
import { VertexData, type Surface } from "../data/surface";
import type { WorldCoordinates } from "../math/coordinates";

export class FramePair {
  readonly x: Float64Array;
  readonly y: Float64Array;
  readonly vertexData: [VertexData, VertexData];
  readonly attributes: [BufferAttribute, BufferAttribute];
  readonly textures: [DataTexture, DataTexture];
  readonly colorAttribute: BufferAttribute;
  readonly colorTexture: DataTexture;
  blend = 0;
  /** Which of the two holds the earlier of the two frames. */
  first = 0;
  private colorData: VertexData | null = null;
  private colorKey = "";

  constructor(readonly surface: Surface, world: WorldCoordinates) {
    this.x = surface.alphaAxis.positions.map((v) => world.x(v));
    this.y = surface.betaAxis.positions.map((v) => world.y(v));
    this.vertexData = [new VertexData(surface), new VertexData(surface)];
    const size = this.x.length * this.y.length;
    const attribute = (data: VertexData) => new BufferAttribute(data.packed, 4).setUsage(DynamicDrawUsage);
    const texture = (data: VertexData) => floatTexture(data.packed, this.y.length, this.x.length, RGBAFormat);
    this.attributes = [attribute(this.vertexData[0]), attribute(this.vertexData[1])];
    this.textures = [texture(this.vertexData[0]), texture(this.vertexData[1])];
    this.colorAttribute = new BufferAttribute(new Float32Array(size * 2), 2).setUsage(DynamicDrawUsage);
    this.colorTexture = floatTexture(this.colorAttribute.array as Float32Array, this.y.length, this.x.length, RGFormat);
  }

  /** Make `frame` (fractional) of `quantity` current; returns true when anything was uploaded. */
  showFrame(quantity: string, frame: number): boolean {
    const count = this.surface.frameCount(quantity);
    const low = Math.max(0, Math.min(Math.floor(frame), count - 1));
    const high = Math.min(low + 1, count - 1);
    this.blend = high === low ? 0 : Math.max(0, Math.min(frame - low, 1));
    const [lowKey, highKey] = [`${quantity}/${low}`, `${quantity}/${high}`];
    if (this.vertexData[this.first].key !== lowKey && this.vertexData[1 - this.first].key === lowKey) this.first = 1 - this.first;
    const loaded = this.load(this.first, lowKey, quantity, low);
    return (high === low ? false : this.load(1 - this.first, highKey, quantity, high)) || loaded;
  }

  /** Colors from another quantity, already as shares of its range. */
  setColorQuantity(quantity: string, frame: number, toShare: (value: number) => number, scaleKey: string): void {
    const low = Math.floor(Math.max(0, Math.min(frame, this.surface.frameCount(quantity) - 1)));
    const key = `${quantity}/${low}/${scaleKey}`;
    if (key === this.colorKey) return;
    this.colorKey = key;
    this.colorData ??= new VertexData(this.surface);
    const target = this.colorAttribute.array as Float32Array;
    for (const lane of [0, 1]) {
      this.colorData.load(quantity, low + lane, this.x, this.y);
      const { values } = this.colorData;
      for (let k = 0; k < values.length; k++) target[2 * k + lane] = Number.isNaN(values[k]) ? 0 : toShare(values[k]);
    }
    this.colorAttribute.needsUpdate = true;
    this.colorTexture.needsUpdate = true;
  }

  /** The drawn value at a refined grid index, blended between the two frames. */
  get currentValue(): (k: number) => number {
    const [a, b] = [this.vertexData[this.first].values, this.vertexData[1 - this.first].values];
    const t = this.blend;
    return t === 0 ? (k) => a[k] : (k) => a[k] + (b[k] - a[k]) * t;
  }

  invalidate(): void {
    for (const data of this.vertexData) data.key = "";
    this.colorKey = "";
  }

  dispose(): void {
    for (const texture of [...this.textures, this.colorTexture]) texture.dispose();
  }

  private load(slot: number, key: string, quantity: string, frame: number): boolean {
    const data = this.vertexData[slot];
    if (data.key === key) return false;
    data.key = key;
    data.load(quantity, frame, this.x, this.y);
    this.attributes[slot].needsUpdate = true;
    this.textures[slot].needsUpdate = true;
    return true;
  }
}

function floatTexture(data: Float32Array, width: number, height: number, format: typeof RGBAFormat | typeof RGFormat): DataTexture {
  const texture = new DataTexture(data, width, height, format, FloatType);
  texture.minFilter = texture.magFilter = NearestFilter;
  texture.unpackAlignment = 1;
  texture.needsUpdate = true;
  return texture;
}
