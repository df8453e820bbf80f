// What the pointer is over, in any pane.
import type { Surface } from "../data/surface";
import { mapPosition, rayAt } from "../gl/projection";
import { contains, type View } from "../gl/viewLayout";
import { hitFloor, hitSheet } from "../math/ray";
import type { Hovered, Session } from "../session";

export function viewAt(session: Session, px: number, py: number): View | null {
  const views = session.views();
  // The contour pane lies on top of the 3-D views.
  return [...views].reverse().find((view) => contains(view.cut ?? view.rect, px, py)) ?? null;
}

export function pick(session: Session, px: number, py: number): Hovered | null {
  const view = viewAt(session, px, py);
  const { stage } = session;
  if (!view || !stage) return null;
  const surfaces = session.drawn.filter((s) => view.surfaces.includes(s.name));
  return view.kind === "map" ? onMap(session, view, surfaces, px, py) : inSpace(session, view, surfaces, px, py);
}

function onMap(session: Session, view: View, surfaces: Surface[], px: number, py: number): Hovered | null {
  const { stage, state } = session;
  const { x, y } = mapPosition(view, state, stage!.world, px, py);
  return surfaces[0] ? found(session, surfaces[0], x, y, px, py) : null;
}

function inSpace(session: Session, view: View, surfaces: Surface[], px: number, py: number): Hovered | null {
  const stage = session.stage!;
  const ray = rayAt(view, session.state, stage.world, px, py);
  const clip = session.state.clip ?? Infinity;
  let best: { t: number; x: number; y: number; surface: Surface } | null = null;
  for (const surface of surfaces) {
    const layer = stage.layer(surface);
    const hit = hitSheet(ray, (x, y) => layer.at(x, y), stage.world, clip);
    if (hit && (!best || hit.t < best.t)) best = { ...hit, surface };
  }
  if (!best && surfaces[0] && session.state.floor) {
    const hit = hitFloor(ray, stage.world);
    if (hit) best = { ...hit, surface: surfaces[0] };
  }
  return best && found(session, best.surface, best.x, best.y, px, py);
}

/** Everything about a place of the plane. */
export function found(session: Session, surface: Surface, x: number, y: number, px: number, py: number): Hovered | null {
  const { world } = session.stage!;
  const value = session.stage!.layer(surface).at(x, y);
  return { x, y, alpha: world.alpha(x), beta: world.beta(y), value, surface, px, py };
}
