// Shader uniforms shared by all meshes; one object, so one change reaches all of them.
import { Color, DataTexture, LinearFilter, RGBAFormat, UnsignedByteType, Vector2, Vector3 } from "three";
import { BASE } from "../math/coordinates";

export function sharedUniforms() {
  return {
    uLow: { value: 0 }, uHigh: { value: 1 }, uLinearThreshold: { value: 1 }, uCurve: { value: 0 }, uMorph: { value: 0 },
    uHeight: { value: 1 }, uBase: { value: BASE },
    uColors: { value: colorTexture(new Uint8Array(768)) }, uColorRange: { value: new Vector2(0, 1) },
    uStepLinear: { value: 1 }, uStepLog: { value: 1 }, uContours: { value: 1 }, uPixel: { value: 1 }, uClip: { value: 1.0005 },
    uHoverOn: { value: 0 }, uHover: { value: new Vector2() }, uHoverValue: { value: 0 },
    uInk: { value: 1 }, uInkColor: { value: new Color(0x0b1020) }, uUnknownColor: { value: new Color(0xffffff) },
    uPaper: { value: new Color(0xffffff) }, uLight: { value: new Vector3(0, 0, 1) }, uEye: { value: new Vector3() },
    uColorByHeight: { value: 1 },
  };
}
export type SharedUniforms = ReturnType<typeof sharedUniforms>;

export function colorTexture(rgb: Uint8Array): DataTexture {
  const rgba = new Uint8Array(1024);
  for (let k = 0; k < 256; k++) rgba.set([rgb[3 * k], rgb[3 * k + 1], rgb[3 * k + 2], 255], 4 * k);
  const texture = new DataTexture(rgba, 256, 1, RGBAFormat, UnsignedByteType);
  texture.minFilter = texture.magFilter = LinearFilter;
  texture.needsUpdate = true;
  return texture;
}
