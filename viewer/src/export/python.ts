// Python code that draws this view as a figure for print.
import type { Session } from "../session";

export function pythonCode(session: Session): string {
  const { state } = session;
  const { azimuth, elevation, zoom } = state.camera;
  const source = String(session.scene.meta.source ?? "archive.zarr");
  const view = JSON.stringify({ camera: { azimuth: Math.round(azimuth), elevation: Math.round(elevation), zoom: Number(zoom.toFixed(2)) }, log: state.log, clip: state.clip, style: state.style });
  return ["import lossatlas as la", "", `archive = la.open_archive(${JSON.stringify(source)})`, `surface = archive.surface(${JSON.stringify(state.active)})`,
    "la.plot(surface)", `la.view(surface, view=${view.replace(/\bnull\b/g, "None").replace(/\btrue\b/g, "True").replace(/\bfalse\b/g, "False")})`, ""].join("\n");
}
