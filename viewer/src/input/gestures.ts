// Gestures of mouse, pen and touch: camera, contour pane, swipe divider, color bar, selection of a region.
import type { Animator } from "../animator";
import { mapPosition, narrowViewFactor } from "../gl/projection";
import { INSET_LIMITS, SPLIT_LIMITS, contains } from "../gl/viewLayout";
import { pan, rotate, zoomAt } from "../math/camera";
import { colorBarValue } from "../overlay/colorbar";
import type { Tooltip } from "../overlay/tooltip";
import type { Session } from "../session";
import type { ViewState } from "../state";
import type { ViewerActions } from "./keys";
import { pick, viewAt } from "./pick";
import type { PointerHandlers } from "./pointer";

export interface Host {
  actions(): ViewerActions;
  invalidate(): void;
  panelOpen(): boolean;
  focus(): void;
  /** A rectangle has been drawn. */
  selectionDone(): void;
  setCursor(kind: string): void;
}

export class Gestures {
  dragTarget: "space" | "map" | "swipe" | "high" | "low" | "band" | "inset" | "split" | null = null;
  private dragPosition: [number, number] = [0, 0];
  private barY = 0;

  /** `engaged`: the wheel may zoom; in a scrolling page only after a click. */
  constructor(
    private readonly session: Session,
    private readonly animator: Animator,
    private readonly tooltip: Tooltip,
    private readonly host: Host,
    private wheelEnabled: boolean,
  ) {}

  handlers(): PointerHandlers {
    const { session } = this;
    const set = (change: Partial<ViewState>) => session.store.set(change);
    const spaceHeight = () => {
      const view = session.views().find((v) => v.kind === "surface")!;
      return { view, height: view.rect.height / narrowViewFactor(view.rect.width / view.rect.height) };
    };
    return {
      dragStart: (x, y) => {
        this.wheelEnabled = true;
        this.animator.stopCamera();
        const view = viewAt(session, x, y);
        const divider = session.state.mode === "swipe" && session.views()[1]?.clipRect;
        const bar = session.colorBarRect();
        this.dragPosition = [x, y];
        if (session.selection) {
          this.dragTarget = "band";
          session.selection = { from: this.planePosition(), to: null };
        } else if (edgeUnderPointer(session, x, y)) this.dragTarget = edgeUnderPointer(session, x, y);
        else if (bar && contains({ x: bar.x - 8, y: bar.y - 6, width: bar.width + 16, height: bar.height + 12 }, x, y)) {
          this.dragTarget = y < bar.y + bar.height / 2 ? "high" : "low";
          this.barY = y;
        } else this.dragTarget = divider && Math.abs(x - divider.x) < 14 ? "swipe" : view?.kind === "map" ? "map" : "space";
        this.tooltip.hide();
        return true;
      },
      rotate: (dx, dy) => {
        if (this.dragTarget === "band") return this.extendSelection(dx, dy);
        if (this.dragTarget === "inset" || this.dragTarget === "split") return this.resize(this.dragTarget, dx, dy);
        if (this.dragTarget === "swipe") return set({ swipe: Math.max(0.02, Math.min(0.98, session.state.swipe + dx / session.width)) });
        if (this.dragTarget === "map") return this.panMap(dx, dy);
        if (this.dragTarget === "high" || this.dragTarget === "low") return this.dragBar(this.dragTarget, dy);
        set({ camera: rotate(session.state.camera, dx, dy), rotating: false });
      },
      pan: (dx, dy) => {
        if (this.dragTarget === "map") return this.panMap(dx, dy);
        set({ camera: pan(session.state.camera, dx, dy, spaceHeight().height) });
      },
      zoom: (factor, x, y) => {
        const view = viewAt(session, x, y);
        if (view?.kind === "map") return this.zoomMap(factor, x, y);
        if (!view) return;
        const { rect } = view;
        set({
          camera: zoomAt(
            session.state.camera,
            factor,
            x - rect.x - rect.width / 2,
            y - rect.y - rect.height / 2,
            rect.height / narrowViewFactor(rect.width / rect.height),
          ),
        });
      },
      dragEnd: (glide) => {
        if (this.dragTarget === "band") {
          this.host.selectionDone();
          this.host.invalidate();
        }
        if (glide && this.dragTarget === "space") this.animator.startInertia(glide.dx, glide.dy);
        this.dragTarget = null;
      },
      hover: (x, y) => this.hoverAt(x, y),
      leave: () => {
        session.hovered = null;
        this.tooltip.hide();
        this.host.invalidate();
      },
      click: (x, y) => this.clickAt(x, y),
      doubleClick: (x, y) => {
        const view = viewAt(session, x, y);
        const bar = session.colorBarRect();
        if (bar && contains({ ...bar, x: bar.x - 8, width: bar.width + 16 }, x, y)) return set({ colorRange: null });
        if (view?.kind === "map") return set({ mapView: { zoom: 1, x: 0, y: 0 }, probes: [] });
        const hit = pick(session, x, y);
        if (!hit || Number.isNaN(hit.value) || !session.renderer) return this.host.actions().preset("home");
        this.animator.flyTo({ ...session.state.camera, x: hit.x, y: hit.y, z: session.renderer.world.z(hit.value) });
        set({ probes: [] });
      },
      wheelAllowed: (event) => this.wheelEnabled || event.ctrlKey,
    };
  }

  /** Where the pointer is on the plane. */
  private planePosition(): [number, number] | null {
    const hit = pick(this.session, ...this.dragPosition);
    return hit && [hit.alpha, hit.beta];
  }

  private extendSelection(dx: number, dy: number): void {
    const { session } = this;
    this.dragPosition = [this.dragPosition[0] + dx, this.dragPosition[1] + dy];
    const position = this.planePosition();
    if (position && session.selection) session.selection = { from: session.selection.from ?? position, to: position };
    this.host.invalidate();
  }

  private resize(what: "inset" | "split", dx: number, dy: number): void {
    const { state, width, height, store } = this.session;
    const bound = (value: number, [low, high]: [number, number]) => Math.max(low, Math.min(high, value));
    if (what === "split") store.set({ split: bound(state.split + dx / Math.max(width - 96, 1), SPLIT_LIMITS) });
    else store.set({ insetSize: bound(state.insetSize + (dx + dy) / 2 / Math.min(width, height), INSET_LIMITS) });
  }

  private hoverAt(x: number, y: number): void {
    const { session } = this;
    if (!session.renderer) return;
    const grip = edgeUnderPointer(session, x, y);
    this.host.setCursor(session.selection ? "crosshair" : grip === "inset" ? "nwse-resize" : grip === "split" ? "ew-resize" : "");
    session.hovered = pick(session, x, y);
    if (session.hovered) this.tooltip.show(session, session.hovered);
    else this.tooltip.hide();
    this.host.invalidate();
  }

  private clickAt(x: number, y: number): void {
    this.host.focus();
    if (this.host.panelOpen()) return this.host.actions().closeAll();
    const hit = pick(this.session, x, y);
    if (!hit || Number.isNaN(hit.value)) return;
    const probes = this.session.state.probes.length >= 2 ? [] : this.session.state.probes;
    this.host.actions().set({ probes: [...probes, [hit.alpha, hit.beta]] });
  }

  /** The ends of the color bar set the range of colors; a double-click sets it free. */
  private dragBar(end: "high" | "low", dy: number): void {
    const rect = this.session.colorBarRect();
    const bar = rect && this.session.colorBar(rect);
    if (!bar) return;
    this.barY += dy;
    const fullBar = { ...bar, range: [0, 1] as [number, number] };
    const value = colorBarValue(fullBar, this.barY);
    const [low, high] = this.session.state.colorRange ?? [colorBarValue(fullBar, rect.y + rect.height), colorBarValue(fullBar, rect.y)];
    const range: [number, number] = end === "high" ? [low, value] : [value, high];
    if (range[1] > range[0]) this.session.store.set({ colorRange: range });
  }

  private panMap(dx: number, dy: number): void {
    const { renderer, state } = this.session;
    const view = this.session.views().find((v) => v.kind === "map");
    if (!renderer || !view) return;
    const { zoom, x, y } = state.mapView;
    const [w, hh] = [renderer.world.halfX, renderer.world.halfY];
    const clamp = (v: number, half: number) => Math.max(-half * (1 - 1 / zoom), Math.min(half * (1 - 1 / zoom), v));
    this.session.store.set({
      mapView: {
        zoom,
        x: clamp(x - (dx / view.rect.width) * 2 * (w / zoom), w),
        y: clamp(y + (dy / view.rect.height) * 2 * (hh / zoom), hh),
      },
    });
  }

  private zoomMap(factor: number, px: number, py: number): void {
    const { renderer, state } = this.session;
    const view = this.session.views().find((v) => v.kind === "map")!;
    if (!renderer) return;
    const zoom = Math.max(1, Math.min(60, state.mapView.zoom * factor));
    const at = mapPosition(view, state, renderer.world, px, py);
    const keep = state.mapView.zoom / zoom;
    const clamp = (v: number, half: number) => Math.max(-half * (1 - 1 / zoom), Math.min(half * (1 - 1 / zoom), v));
    this.session.store.set({
      mapView: {
        zoom,
        x: clamp(at.x + (state.mapView.x - at.x) * keep, renderer.world.halfX),
        y: clamp(at.y + (state.mapView.y - at.y) * keep, renderer.world.halfY),
      },
    });
  }
}

/** What of the panes' edges is under the pointer: the corner of the inset, or the line between panes that lie side by side. */
function edgeUnderPointer(session: Session, x: number, y: number): "inset" | "split" | null {
  const { state } = session;
  const map = session.views().find((view) => view.kind === "map");
  if (!map || !["inset", "side"].includes(state.map)) return null;
  const { rect } = map;
  if (state.map === "inset") return Math.abs(x - rect.x - rect.width) < 11 && Math.abs(y - rect.y - rect.height) < 11 ? "inset" : null;
  const space = session.views().filter((view) => view.kind === "surface");
  const line = Math.max(...space.map((view) => view.rect.x + view.rect.width));
  return session.width >= 620 && Math.abs(x - line) < 7 ? "split" : null;
}
