// Session: document, scene model, view state and renderer, shared by every part of one viewer.
import { suitsLogScale } from "./data/automaticScale";
import type { Surface } from "./data/surface";
import type { Document } from "./data/types";
import { themeOf, type Theme } from "./dom/theme";
import type { Renderer } from "./gl/renderer";
import { layoutViews, type Rect, type View } from "./gl/viewLayout";
import { HOME } from "./math/camera";
import { normalize } from "./math/scale";
import type { ColorBar } from "./overlay/colorbar";
import { SceneModel } from "./sceneModel";
import { DEFAULTS, Store, fromHash, parseState, type ViewState } from "./state";
import { Timeline } from "./timeline";

export interface HoverTarget {
  x: number;
  y: number;
  alpha: number;
  beta: number;
  value: number;
  surface: Surface;
  /** Where the pointer is, in pixels of the picture. */
  px: number;
  py: number;
}

export class Session {
  sceneModel!: SceneModel;
  timeline!: Timeline;
  theme: Theme;
  readonly store: Store;
  renderer: Renderer | null = null;
  hovered: HoverTarget | null = null;
  /** 0 linear, 1 logarithmic, between while it morphs. */
  morph = 0;
  width = 800;
  height = 600;
  /** Where the heading ends, in pixels from the top. */
  headingBottom = 58;
  /** Live: progress text; empty otherwise. */
  progress = "";
  /** Live: a rectangle that is being drawn, in plane coordinates; null when none is wanted. */
  selection: { from: [number, number] | null; to: [number, number] | null } | null = null;

  constructor(public document: Document, overrides: Partial<ViewState>) {
    const base = { ...DEFAULTS, theme: document.theme ?? "", ...parseState(document.view) } as ViewState;
    const requested = { ...base, ...overrides };
    this.open(requested.scene);
    const state = this.adaptToScene(requested, { ...parseState(document.view), ...overrides });
    this.store = new Store(state, { ...this.adaptToScene(base, parseState(document.view)), scene: 0 });
    this.theme = themeOf(state.theme);
    this.morph = state.log ? 1 : 0;
  }

  get state(): ViewState { return this.store.state; }
  get scene() { return this.sceneModel.scene; }
  get drawn(): Surface[] { return this.sceneModel.drawn(this.state); }
  get active(): Surface | undefined { return this.drawn[0]; }
  get step(): number { return this.timeline.isAnimated ? this.timeline.step(this.state.frame) : Infinity; }

  open(index: number): void {
    const scene = this.document.scenes[Math.max(0, Math.min(index, this.document.scenes.length - 1))];
    this.sceneModel = new SceneModel(scene);
    this.updateTimeline({ ...DEFAULTS, hidden: this.sceneModel.unlisted });
  }

  /** Rebuild the timeline for what is shown: the scene's frames, or the steps of the visible paths. */
  updateTimeline(state: ViewState): void {
    this.timeline = new Timeline(
      this.sceneModel.scene,
      this.sceneModel
        .paths({
          ...state,
          quantity: this.sceneModel.surfaces.some((s) => s.quantities.includes(state.quantity))
            ? state.quantity
            : (this.sceneModel.quantities[0] ?? ""),
        })
        .map(({ path }) => path),
    );
  }

  /** Show the surfaces of another plane instead. */
  showPlane(name: string): void {
    const { sceneModel } = this;
    const hidden = sceneModel.surfaces.map((s) => s.name).filter((other) => !sceneModel.samePlane(other, name));
    const state = { ...this.state, hidden, active: name };
    this.updateTimeline(state);
    const shown = sceneModel.visible(state);
    this.store.set({
      hidden,
      active: name,
      probes: [],
      colorRange: null,
      clip: null,
      playing: false,
      range: null,
      mapView: { zoom: 1, x: 0, y: 0 },
      frame: Math.max(this.timeline.length - 1, 0),
      log: sceneModel.colors[state.quantity]?.scale === "log" || suitsLogScale(shown, state.quantity),
    });
  }

  /** Adapt a state to the open scene: existing quantities and surfaces, and the scene's defaults where nothing was requested. */
  adaptToScene(state: ViewState, asked: Partial<ViewState>): ViewState {
    const { sceneModel, timeline } = this;
    const pane = sceneModel.scene.panes.find((p) => p.kind === "surface") ?? sceneModel.scene.panes.find((p) => p.kind === "contour");
    const quantities = sceneModel.quantities;
    const wantedQuantity = asked.quantity ?? pane?.quantity ?? "loss";
    const quantity = quantities.includes(wantedQuantity) ? wantedQuantity : (quantities[0] ?? "loss");
    const color = sceneModel.colors[quantity];
    const names = sceneModel.surfaces.map((s) => s.name);
    const hidden = (asked.hidden ?? sceneModel.unlisted).filter((name) => names.includes(name));
    const shown = sceneModel.visible({ ...state, hidden, quantity });
    const first = pane?.surfaces.find((name) => names.includes(name)) ?? names[0] ?? "";
    const camera =
      pane && pane.kind === "surface" && !asked.camera
        ? { ...HOME, elevation: pane.camera.elevation, azimuth: pane.camera.azimuth, zoom: HOME.zoom * (pane.camera.zoom || 1) }
        : state.camera;
    const separate = sceneModel.scene.panes.filter((p) => p.kind === "surface" && p.surfaces.length === 1).length;
    return {
      ...state, quantity, camera, hidden,
      colorBy: quantities.includes(state.colorBy) ? state.colorBy : "",
      colormap: asked.colormap ?? (color && color.colormap !== "atlas" ? color.colormap : ""),
      noise: asked.noise ?? shown.some((s) => !!s.field(quantity)?.doubtful?.data),
      log: asked.log ?? (color ? color.scale === "log" : suitsLogScale(shown, quantity)),
      clip: asked.clip !== undefined ? asked.clip : (color?.clip ?? null),
      active: names.includes(state.active) ? state.active : hidden.includes(first) ? (shown[0]?.name ?? first) : first,
      mode: asked.mode ?? (separate > 1 && names.length > 1 ? "side" : "overlay"),
      frame: Math.max(0, Math.min(asked.frame ?? timeline.length - 1, Math.max(timeline.length - 1, 0))),
    };
  }

  views(): View[] {
    const names = this.drawn.map((s) => s.name);
    const world = this.renderer?.world;
    return layoutViews(this.state, names, this.width, this.height, world ? world.halfX / world.halfY : 1, this.headingBottom);
  }

  /** The rectangle of the color bar; null where there is no room. */
  colorBarRect(): Rect | null {
    if (this.width < 520 || this.height < 260) return null;
    const height = Math.min(380, this.height * 0.5);
    return { x: this.width - 78, y: Math.max(128, (this.height - height) / 2 - 20), width: 14, height };
  }

  /** Colors of the map in use; a difference has a diverging one, centered on zero. */
  get rgb(): Uint8Array {
    const maps = this.document.colormaps;
    const name = this.sceneModel.isDifference(this.state) ? "vik" : this.state.colormap || this.theme.colormap;
    return maps[name] ?? maps.viridis ?? new Uint8Array(768).fill(128);
  }

  get quantityLabel(): string {
    const shown = this.state.colorBy || this.state.quantity;
    return this.active?.field(shown)?.label || shown;
  }

  colorBar(rect: Rect): ColorBar | null {
    const { state, drawn, sceneModel, renderer } = this;
    if (!drawn.length || !renderer) return null;
    if (state.colorBy && state.colorBy !== state.quantity && !sceneModel.isDifference(state)) {
      const scale = sceneModel.colorScale(drawn, state.colorBy);
      const [low, high] = state.colorRange ?? [scale.low, scale.high];
      return {
        rect,
        scale,
        morph: 0,
        range: [normalize(scale, low, 0), normalize(scale, high, 0)],
        rgb: this.rgb,
        label: this.quantityLabel,
        note: "linear scale",
      };
    }
    const scale = renderer.world.scale;
    const range: [number, number] = state.colorRange
      ? [normalize(scale, state.colorRange[0], this.morph), normalize(scale, state.colorRange[1], this.morph)]
      : [0, 1];
    const note = this.morph < 0.5 ? "linear scale" : scale.curve === "log" ? "log scale" : "symmetric log scale";
    return { rect, scale, morph: this.morph, range, rgb: this.rgb, label: this.quantityLabel, note };
  }

  hash(): Partial<ViewState> { return fromHash(location.hash); }
}
