// WebM export: every frame of the timeline, recorded once.
import type { Exportable } from "./exportable";
import { composePicture } from "./png";

/** Size below which a file holds headers only, in bytes. */
const HEADER_BYTES = 1000;

export async function recordWebm(viewer: Exportable, done: (blob: Blob) => void): Promise<void> {
  const { session } = viewer;
  if (typeof MediaRecorder === "undefined") return viewer.toast("This browser cannot record films");
  const canvas = document.createElement("canvas");
  const first = composePicture(viewer, 1, false);
  Object.assign(canvas, { width: first.width, height: first.height });
  const context = canvas.getContext("2d")!;
  const type = ["video/webm;codecs=vp9", "video/webm;codecs=vp8", "video/webm"].find((t) => MediaRecorder.isTypeSupported(t)) ?? "";
  const recorder = new MediaRecorder(canvas.captureStream(30), { mimeType: type, videoBitsPerSecond: 8e6 });
  const parts: Blob[] = [];
  recorder.ondataavailable = (event) => parts.push(event.data);
  recorder.onstop = () => done(new Blob(parts, { type: "video/webm" }));
  const before = session.state.frame;
  session.store.set({ playing: false });
  context.drawImage(first, 0, 0);
  const started = new Promise((resolve) => { recorder.onstart = resolve; });
  recorder.start(100);
  await started;
  viewer.toast("Recording…");
  for (let frame = 0; frame < session.timeline.length; frame++) {
    session.store.set({ frame });
    context.drawImage(composePicture(viewer, 1, false), 0, 0);
    await new Promise((resolve) => setTimeout(resolve, session.timeline.milliseconds));
  }
  // A slow machine's encoder may still wait for its first picture: without one the file would be empty.
  const recorded = () => parts.reduce((size, part) => size + part.size, 0);
  for (let tries = 0; tries < 100 && recorded() < HEADER_BYTES; tries++) {
    context.drawImage(composePicture(viewer, 1, false), 0, 0);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  recorder.stop();
  session.store.set({ frame: before });
}
