// Payload decoder: codecs, special values, damaged data.
import { deflateSync } from "node:zlib";
import { describe, expect, it } from "vitest";
import { decode, decodeBlock, PayloadError, QUANTIZATION_STEPS } from "../src/data/decode";
import type { Block, Header } from "../src/data/types";

/** The encoder's last three steps, written again from the format's description. */
function pack(codes: number[], row: number): Uint8Array {
  const differences = codes.map((code, k) => (k % row ? code - codes[k - 1] + 65536 : code) % 65536);
  const planes = Uint8Array.from([...differences.map((d) => d & 255), ...differences.map((d) => d >> 8)]);
  return deflateSync(planes);
}

const block = (data: Uint8Array, extra: Partial<Block>): Block => ({
  codec: "u16",
  shape: [2, 3],
  offset: 0,
  length: data.length,
  ...extra,
});

describe("decodeBlock", () => {
  it("returns exact ends, holes and infinities", async () => {
    const data = pack([0, QUANTIZATION_STEPS, 65535, 65534, 65533, QUANTIZATION_STEPS / 2], 3);
    const { data: values } = await decodeBlock(block(data, { low: -1, high: 3, log: false }), data);
    expect(Array.from(values)).toEqual([-1, 3, NaN, Infinity, -Infinity, 1]);
  });

  it("undoes the logarithm", async () => {
    const data = pack([0, QUANTIZATION_STEPS / 2, QUANTIZATION_STEPS], 3);
    const { data: values } = await decodeBlock(block(data, { shape: [1, 3], low: 0.01, high: 100, log: true }), data);
    expect(values[0]).toBeCloseTo(0.01, 6);
    expect(values[1]).toBeCloseTo(1, 5);
    expect(values[2]).toBeCloseTo(100, 3);
  });

  it("reads float64 exactly", async () => {
    const exact = new Float64Array([Math.PI, -1e300]);
    const bytes = new Uint8Array(exact.buffer);
    const planes = new Uint8Array(16);
    for (let plane = 0; plane < 8; plane++) for (let k = 0; k < 2; k++) planes[plane * 2 + k] = bytes[k * 8 + plane];
    const data = deflateSync(planes);
    const { data: values } = await decodeBlock(block(data, { codec: "f64", shape: [2] }), data);
    expect(Array.from(values)).toEqual([Math.PI, -1e300]);
  });

  it("reads every exact codec, multi-byte ones from their byte planes", async () => {
    const cases = [
      ["f32", Float32Array.of(1.5, -2.25, NaN, Infinity, 0, 3e-39)],
      ["i32", Int32Array.of(-1, 0, 255, 256, 2 ** 31 - 1, -(2 ** 31))],
      ["u8", Uint8Array.of(0, 1, 2, 127, 128, 255)],
    ] as const;
    for (const [codec, values] of cases) {
      const [bytes, size] = [new Uint8Array(values.buffer), values.BYTES_PER_ELEMENT];
      const data = deflateSync(bytes.map((_, k) => bytes[(k % values.length) * size + Math.floor(k / values.length)]));
      const decoded = await decodeBlock(block(data, { codec, shape: [3, 2] }), data);
      expect(Array.from(decoded.data), codec).toEqual(Array.from(values));
      expect(decoded.shape).toEqual([3, 2]);
    }
  });

  it("stays within half a step of any value in between", async () => {
    const values = Array.from({ length: 12 }, (_, k) => -3 + 0.61803 * k);
    const [low, high] = [values[0], values[11]];
    const codes = values.map((v) => Math.round(((v - low) / (high - low)) * QUANTIZATION_STEPS));
    const data = pack(codes, 4);
    const decoded = (await decodeBlock(block(data, { shape: [3, 4], low, high, log: false }), data)).data;
    values.forEach((v, k) => expect(Math.abs(decoded[k] - v)).toBeLessThan((0.5 * (high - low)) / QUANTIZATION_STEPS + 1e-6)); // float32
  });

  it("rejects damaged data with a message", async () => {
    const data = pack([1, 2, 3, 4, 5, 6], 3);
    data[data.length - 2] ^= 0xff;
    await expect(decodeBlock(block(data, { low: 0, high: 1 }), data)).rejects.toThrow(PayloadError);
    const short = pack([1, 2, 3], 3);
    await expect(decodeBlock(block(short, { low: 0, high: 1 }), short)).rejects.toThrow(/wrong length/);
  });
});

describe("decode", () => {
  it("puts arrays where the header refers to them", async () => {
    const data = pack([0, QUANTIZATION_STEPS, 0], 3);
    const header = {
      format: "lossatlas-viewer",
      version: 1,
      scenes: [{ title: "t", deep: [{ values: { block: 0 } }] }],
      blocks: [block(data, { shape: [3], low: 0, high: 2 })],
      colormaps: {},
      theme: null,
      view: {},
      warnings: [],
    } as unknown as Header;
    const document = await decode(header, data);
    const scene = document.scenes[0] as unknown as { deep: { values: { data: Float32Array } }[] };
    expect(Array.from(scene.deep[0].values.data)).toEqual([0, 2, 0]);
  });

  it("rejects a header that is not of this format", async () => {
    await expect(decode({} as Header, new Uint8Array())).rejects.toThrow(/no Lossatlas data/);
  });
});
