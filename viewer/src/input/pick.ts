// Picking: the surface point under the pointer, in any view.
import type { Surface } from "../data/surface";
import { mapPosition, rayAt } from "../gl/projection";
import { contains, type View } from "../gl/viewLayout";
import { intersectFloor, intersectSurface } from "../math/ray";
import type { HoverTarget, Session } from "../session";

export function viewAt(session: Session, px: number, py: number): View | null {
  const views = session.views();
  // The contour pane lies on top of the 3-D views.
  return [...views].reverse().find((view) => contains(view.clipRect ?? view.rect, px, py)) ?? null;
}

export function pick(session: Session, px: number, py: number): HoverTarget | null {
  const view = viewAt(session, px, py);
  const { renderer } = session;
  if (!view || !renderer) return null;
  const surfaces = session.drawn.filter((s) => view.surfaces.includes(s.name));
  return view.kind === "map" ? pickOnMap(session, view, surfaces, px, py) : pickOnSurface(session, view, surfaces, px, py);
}

function pickOnMap(session: Session, view: View, surfaces: Surface[], px: number, py: number): HoverTarget | null {
  const { renderer, state } = session;
  const { x, y } = mapPosition(view, state, renderer!.world, px, py);
  return surfaces[0] ? hoverTarget(session, surfaces[0], x, y, px, py) : null;
}

function pickOnSurface(session: Session, view: View, surfaces: Surface[], px: number, py: number): HoverTarget | null {
  const renderer = session.renderer!;
  const ray = rayAt(view, session.state, renderer.world, px, py);
  const clip = session.state.clip ?? Infinity;
  let best: { t: number; x: number; y: number; surface: Surface } | null = null;
  for (const surface of surfaces) {
    const surfaceMesh = renderer.meshOf(surface);
    const hit = intersectSurface(ray, (x, y) => surfaceMesh.valueAt(x, y), renderer.world, clip);
    if (hit && (!best || hit.t < best.t)) best = { ...hit, surface };
  }
  if (!best && surfaces[0] && session.state.floor) {
    const hit = intersectFloor(ray, renderer.world);
    if (hit) best = { ...hit, surface: surfaces[0] };
  }
  return best && hoverTarget(session, best.surface, best.x, best.y, px, py);
}

/** Coordinates and value at a position on the plane. */
export function hoverTarget(session: Session, surface: Surface, x: number, y: number, px: number, py: number): HoverTarget | null {
  const { world } = session.renderer!;
  const value = session.renderer!.meshOf(surface).valueAt(x, y);
  return { x, y, alpha: world.alpha(x), beta: world.beta(y), value, surface, px, py };
}
