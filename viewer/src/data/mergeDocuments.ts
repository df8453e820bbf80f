// Merge of two documents: surfaces and paths get unique names, planes stay distinguished, colormaps are joined.
import type { Document, PathData, SceneData, SurfaceData } from "./types";

/** A copy of `document` whose scene `index` also holds every surface and path of `other`; `origin` tells them apart. */
export function mergeDocuments(document: Document, index: number, other: Document, origin: string): Document {
  const scene = document.scenes[index];
  const taken = new Set([...scene.surfaces, ...scene.paths].map((item) => item.name));
  const added = other.scenes.map((entry, k) => renameScene(entry, taken, other.scenes.length > 1 ? `${origin} ${k + 1}` : origin));
  const surfaces = added.flatMap((entry) => entry.surfaces);
  const shown = added.flatMap((entry) => entry.shown);
  const panes = scene.panes.length
    ? scene.panes.map((pane) =>
        ["surface", "contour", "line"].includes(pane.kind) ? { ...pane, surfaces: [...pane.surfaces, ...shown] } : pane,
      )
    : scene.panes;
  const mergedScene: SceneData = {
    ...scene,
    panes,
    surfaces: [...scene.surfaces, ...surfaces],
    paths: [...scene.paths, ...added.flatMap((entry) => entry.paths)],
    colors: [
      ...scene.colors,
      ...other.scenes
        .flatMap((entry) => entry.colors)
        .filter((color) => !scene.colors.some((present) => present.quantity === color.quantity)),
    ],
    meta: { ...scene.meta, planes: { ...planesOf(scene), ...Object.assign({}, ...added.map((entry) => entry.planes)) } },
  };
  return {
    ...document,
    scenes: document.scenes.map((entry, k) => (k === index ? mergedScene : entry)),
    colormaps: { ...other.colormaps, ...document.colormaps },
  };
}

interface RenamedScene { surfaces: SurfaceData[]; paths: PathData[]; planes: Record<string, object>; shown: string[] }

function renameScene(scene: SceneData, taken: Set<string>, origin: string): RenamedScene {
  const names = new Map(scene.surfaces.map((s) => [s.name, uniqueName(`${origin}: ${s.name}`, taken)]));
  const listed = new Set(scene.panes.flatMap((pane) => pane.surfaces));
  const planes = planesOf(scene);
  return {
    surfaces: scene.surfaces.map((s) => ({ ...s, name: names.get(s.name)!, label: `${origin}: ${s.label || s.name}` })),
    paths: scene.paths.map((p) => ({
      ...p,
      name: uniqueName(`${origin}: ${p.name}`, taken),
      label: `${origin}: ${p.label || p.name}`,
      surface: names.get(p.surface ?? scene.surfaces.find((s) => s.beta)?.name ?? "") ?? null,
      color: null,
    })),
    planes: Object.fromEntries(scene.surfaces.map((s) => [names.get(s.name)!, planes[s.name] ?? {}])),
    shown: scene.surfaces.filter((s) => !listed.size || listed.has(s.name)).map((s) => names.get(s.name)!),
  };
}

function planesOf(scene: SceneData): Record<string, object> {
  const planes = (scene.meta.planes ?? {}) as Record<string, object>;
  return Object.fromEntries(scene.surfaces.map((s) => [s.name, planes[s.name] ?? {}]));
}

function uniqueName(name: string, taken: Set<string>): string {
  let [entry, k] = [name, 2];
  while (taken.has(entry)) entry = `${name} (${k++})`;
  taken.add(entry);
  return entry;
}
