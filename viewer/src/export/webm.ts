// The animation as a film: plays every frame once into a recorder.
import { compose } from "./png";
import type { Viewer } from "../viewer";

export async function record(viewer: Viewer, done: (blob: Blob) => void): Promise<void> {
  const { session } = viewer;
  if (typeof MediaRecorder === "undefined") return viewer.toast("This browser cannot record films");
  const canvas = document.createElement("canvas");
  const first = compose(viewer, 1, false);
  Object.assign(canvas, { width: first.width, height: first.height });
  const context = canvas.getContext("2d")!;
  const type = ["video/webm;codecs=vp9", "video/webm;codecs=vp8", "video/webm"].find((t) => MediaRecorder.isTypeSupported(t)) ?? "";
  const recorder = new MediaRecorder(canvas.captureStream(30), { mimeType: type, videoBitsPerSecond: 8e6 });
  const parts: Blob[] = [];
  recorder.ondataavailable = (event) => parts.push(event.data);
  recorder.onstop = () => done(new Blob(parts, { type: "video/webm" }));
  const before = session.state.frame;
  session.store.set({ playing: false });
  recorder.start();
  viewer.toast("Recording…");
  for (let frame = 0; frame < session.timeline.length; frame++) {
    session.store.set({ frame });
    context.drawImage(compose(viewer, 1, false), 0, 0);
    await new Promise((resolve) => setTimeout(resolve, session.timeline.milliseconds));
  }
  recorder.stop();
  session.store.set({ frame: before });
}
