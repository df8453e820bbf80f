// PNG export at a multiple of the size on screen, with the view's state, the full caption and the sources in text chunks.
import { captionLines, metadataJson } from "../chrome/caption";
import { FONT } from "../dom/theme";
import { paintOverlay } from "../overlay/overlayPainter";
import { toHash } from "../state";
import type { Exportable } from "./exportable";

/** Keys of the text chunks: the view, which opening the picture restores, and the caption and sources, as figures carry them. */
export const VIEW_KEY = "lossatlas-view";
export const METADATA_KEY = "lossatlas";

export async function pngBlob(viewer: Exportable, times: number, transparent: boolean): Promise<Blob> {
  const canvas = composePicture(viewer, times, transparent);
  const blob = await new Promise<Blob>((resolve, reject) =>
    canvas.toBlob((b) => (b ? resolve(b) : reject(new Error("The picture could not be made at this size."))), "image/png"),
  );
  const bytes = new Uint8Array(await blob.arrayBuffer());
  const { session } = viewer;
  const withView = insertTextChunk(bytes, VIEW_KEY, toHash(session.state, session.store.initial));
  return new Blob([insertTextChunk(withView, METADATA_KEY, metadataJson(session)) as BlobPart], { type: "image/png" });
}

/** Background, WebGL, overlay, heading and footer line, at `times` the size on screen. */
export function composePicture(viewer: Exportable, times: number, transparent: boolean): HTMLCanvasElement {
  const { session } = viewer;
  const { width, height, theme } = session;
  const canvas = document.createElement("canvas");
  canvas.width = width * times;
  canvas.height = height * times;
  const context = canvas.getContext("2d")!;
  context.scale(times, times);
  if (!transparent) {
    const gradient = context.createRadialGradient(width / 2, height * 0.35, height * 0.2, width / 2, height * 0.35, width * 0.8);
    gradient.addColorStop(0, theme.background[0]);
    gradient.addColorStop(1, theme.background[1]);
    context.fillStyle = gradient;
    context.fillRect(0, 0, width, height);
  }
  viewer.drawNow(times);
  context.drawImage(viewer.glCanvas, 0, 0, width, height);
  paintOverlay(session, context);
  context.textAlign = "left";
  context.fillStyle = theme.text;
  context.font = `650 18px ${FONT}`;
  context.fillText(session.scene.title, 20, 26);
  context.fillStyle = theme.soft;
  context.font = `12.5px ${FONT}`;
  context.fillText(session.scene.subtitle, 20, 48);
  context.font = `10.5px ${FONT}`;
  const lines = captionLines(session);
  lines.forEach((line, k) => context.fillText(line, 20, height - 10 - 14 * (lines.length - 1 - k), width - 40));
  viewer.invalidate();
  return canvas;
}

/** A tEXt chunk before the first data chunk. */
export function insertTextChunk(png: Uint8Array, key: string, text: string): Uint8Array {
  const body = new TextEncoder().encode(`tEXt${key}\0${text}`);
  const chunk = new Uint8Array(body.length + 8);
  const view = new DataView(chunk.buffer);
  view.setUint32(0, body.length - 4);
  chunk.set(body, 4);
  view.setUint32(chunk.length - 4, crc32(body));
  const out = new Uint8Array(png.length + chunk.length);
  const at = 33; // signature and IHDR
  out.set(png.subarray(0, at));
  out.set(chunk, at);
  out.set(png.subarray(at), at + chunk.length);
  return out;
}

function crc32(bytes: Uint8Array): number {
  let c = 0xffffffff;
  for (const byte of bytes) {
    c ^= byte;
    for (let k = 0; k < 8; k++) c = c & 1 ? (c >>> 1) ^ 0xedb88320 : c >>> 1;
  }
  return (c ^ 0xffffffff) >>> 0;
}
