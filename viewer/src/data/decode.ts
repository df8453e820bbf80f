// Payload decoder, the inverse of src/lossatlas/viz/web/payload.py: inflate, unshuffle bytes, undo delta coding, dequantize.
import { texToText } from "../math/texToText";
import type { Block, Document, Header, NumArray, SceneData } from "./types";

export const QUANTIZATION_STEPS = 65532;
const SPECIAL_CODES: Record<number, number> = { 65533: -Infinity, 65534: Infinity, 65535: NaN };

export class PayloadError extends Error {}

/** Decode a whole document; throws PayloadError with a message for the reader when anything is malformed. */
export async function decode(header: Header, blob: Uint8Array): Promise<Document> {
  if (header?.format !== "lossatlas-viewer")
    throw new PayloadError("This page holds no Lossatlas data (the header is missing or damaged).");
  if (header.version > 1)
    throw new PayloadError(`This data has version ${header.version}; the viewer on this page reads version 1. Export the page again.`);
  const arrays = await Promise.all(header.blocks.map((block) => decodeBlock(block, blob)));
  return {
    scenes: header.scenes.map((scene) => resolveBlocks(scene, arrays) as SceneData),
    colormaps: Object.fromEntries(Object.entries(header.colormaps).map(([name, text]) => [name, fromBase64(text)])),
    theme: header.theme,
    view: header.view ?? {},
    warnings: header.warnings ?? [],
    package: header.package ?? "",
  };
}

export async function decodeBlock(block: Block, blob: Uint8Array): Promise<NumArray> {
  const raw = await inflate(blob.subarray(block.offset, block.offset + block.length));
  const count = block.shape.reduce((a, b) => a * b, 1);
  const bytes = { u16: 2, f32: 4, f64: 8, i32: 4, u8: 1 }[block.codec];
  if (raw.length !== count * bytes)
    throw new PayloadError("The data on this page are damaged (a block has the wrong length). Export the page again.");
  const stored = unshuffleBytes(raw, bytes);
  const data = block.codec === "u16" ? dequantize(new Uint16Array(stored), block)
    : block.codec === "f32" ? new Float32Array(stored)
    : block.codec === "f64" ? new Float64Array(stored)
    : block.codec === "i32" ? new Int32Array(stored)
    : new Uint8Array(stored);
  return { data, shape: block.shape };
}

export function dequantize(codes: Uint16Array, block: Block): Float32Array {
  const row = block.shape[block.shape.length - 1] ?? 1;
  const { low = 0, high = 0 } = block;
  const table = new Float32Array(65536);
  const ratio = block.log ? Math.log(high / low) : 0;
  for (let code = 0; code <= QUANTIZATION_STEPS; code++) {
    const fraction = code / QUANTIZATION_STEPS;
    table[code] = block.log ? low * Math.exp(ratio * fraction) : low + (high - low) * fraction;
  }
  for (const [code, value] of Object.entries(SPECIAL_CODES)) table[+code] = value;
  const values = new Float32Array(codes.length);
  for (let start = 0; start < codes.length; start += row) {
    let sum = 0;
    for (let k = start; k < start + row; k++) values[k] = table[(sum = (sum + codes[k]) & 0xffff)];
  }
  return values;
}

function unshuffleBytes(raw: Uint8Array, size: number): ArrayBuffer {
  if (size === 1) return raw.slice().buffer as ArrayBuffer;
  const count = raw.length / size;
  const out = new Uint8Array(raw.length);
  for (let plane = 0; plane < size; plane++) {
    const from = plane * count;
    for (let k = 0; k < count; k++) out[k * size + plane] = raw[from + k];
  }
  return out.buffer;
}

async function inflate(data: Uint8Array): Promise<Uint8Array> {
  try {
    const stream = new Blob([data as BlobPart]).stream().pipeThrough(new DecompressionStream("deflate"));
    return new Uint8Array(await new Response(stream).arrayBuffer());
  } catch {
    throw new PayloadError("The data on this page are damaged (they do not decompress). Copy or export the page again.");
  }
}

export function fromBase64(text: string): Uint8Array {
  let binary: string;
  try {
    binary = atob(text.trim());
  } catch {
    throw new PayloadError("The data on this page are damaged (not base64). Copy or export the page again.");
  }
  const bytes = new Uint8Array(binary.length);
  for (let k = 0; k < binary.length; k++) bytes[k] = binary.charCodeAt(k);
  return bytes;
}

/** Keys that hold text for the reader, which may contain formulas. */
const TEXT_KEYS = /^((alpha_|beta_|x_|y_)?label|y_label_right|title|subtitle|notes|text)$/;

export function texToTextIn(value: unknown): unknown {
  return typeof value === "string" ? texToText(value) : Array.isArray(value) ? value.map(texToTextIn) : value;
}

function resolveBlocks(thing: unknown, arrays: NumArray[]): unknown {
  if (Array.isArray(thing)) return thing.map((item) => resolveBlocks(item, arrays));
  if (thing === null || typeof thing !== "object") return thing;
  const entries = Object.entries(thing);
  if (entries.length === 1 && entries[0][0] === "block") return arrays[entries[0][1] as number];
  return Object.fromEntries(entries.map(([key, value]) => [key, TEXT_KEYS.test(key) ? texToTextIn(value) : resolveBlocks(value, arrays)]));
}
