// Python code that draws the same view as a figure for print.
import type { Session } from "../session";

export function pythonCode(session: Session): string {
  const { state } = session;
  const { azimuth, elevation, zoom } = state.camera;
  const sources = (session.scene.meta.source ?? {}) as Record<string, [string, string]>;
  const [file, stored] = sources[state.active] ?? ["archive.zarr", state.active];
  const view = JSON.stringify({
    camera: { azimuth: Math.round(azimuth), elevation: Math.round(elevation), zoom: Number(zoom.toFixed(2)) },
    log: state.log,
    clip: state.clip,
    style: state.style,
  });
  return [
    "import lossatlas as la",
    "",
    `archive = la.open_archive(${JSON.stringify(file)})`,
    `surface = archive.surface(${JSON.stringify(stored)})`,
    `la.plot(surface, "landscape.png"${plotOptions(session)})`,
    `la.view(surface, view=${view
      .replace(/\bnull\b/g, "None")
      .replace(/\btrue\b/g, "True")
      .replace(/\bfalse\b/g, "False")})`,
    "",
  ].join("\n");
}

/** What a figure shares with the view. */
function plotOptions({ state }: Session): string {
  return [
    state.quantity === "loss" ? "" : `, quantity=${JSON.stringify(state.quantity)}`,
    state.log ? ', scale="log"' : "",
    state.clip === null ? "" : `, clip=${state.clip}`,
  ].join("");
}
