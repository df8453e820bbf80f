// The WebGL picture: builds layers and trails for a landscape, and draws the views of a state into one canvas.
import { ColorManagement, LinearSRGBColorSpace, Scene, WebGLRenderer } from "three";
import type { Surface } from "../data/surface";
import type { Theme } from "../dom/theme";
import { axes, eye } from "../math/camera";
import { contourSteps } from "../math/contour";
import { World } from "../math/coordinates";
import { type Scale } from "../math/scale";
import type { Landscape } from "../sceneModel";
import { PALETTE, TINTS, indexAtStep } from "../sceneModel";
import type { ViewState } from "../state";
import { Box } from "./boxFrame";
import { Trail } from "./pathLine";
import { cameraOf } from "./projection";
import { Stems } from "./stems";
import { Layer } from "./surfaceMesh";
import { colorTexture, sharedUniforms } from "./uniforms";
import type { View } from "./viewLayout";

ColorManagement.enabled = false;

export interface Hover { x: number; y: number; value: number; layer: Layer }

export class Stage {
  readonly renderer: WebGLRenderer;
  readonly shared = sharedUniforms();
  readonly layers = new Map<Surface, Layer>();
  world!: World;
  private readonly space = new Scene();
  private readonly flat = new Scene();
  private readonly box = new Box();
  private trails: { layer: Layer; trail: Trail; map: Trail; stems: Stems }[] = [];
  private landscape!: Landscape;
  private meshColor = "#0b1020";
  private trailKey = "";
  private reach: Surface[] = [];

  constructor(readonly canvas: HTMLCanvasElement) {
    this.renderer = new WebGLRenderer({ canvas, antialias: true, alpha: true, powerPreference: "high-performance" });
    this.renderer.outputColorSpace = LinearSRGBColorSpace;
    this.renderer.autoClear = false;
    this.renderer.setClearColor(0x000000, 0);
    this.renderer.info.autoReset = true;
    this.space.add(this.box.lines);
  }

  load(landscape: Landscape, state: ViewState): void {
    this.clear();
    this.landscape = landscape;
    const surfaces = landscape.reach(state);
    this.reach = surfaces;
    const ends = (axis: (s: Surface) => ArrayLike<number>): [number, number] => {
      const all = surfaces.flatMap((s) => [axis(s)[0], axis(s)[axis(s).length - 1]]);
      return all.length ? [Math.min(...all), Math.max(...all)] : [-1, 1];
    };
    this.world = new World(ends((s) => s.alpha), ends((s) => s.beta), landscape.scale(landscape.visible(state), state));
  }

  /** Must the window change, as when a plane with other ends is chosen? */
  outgrown(state: ViewState): boolean {
    const key = (surfaces: Surface[]) => JSON.stringify(surfaces.map((s) => [s.alpha[0], s.alpha[s.na - 1], s.beta[0], s.beta[s.nb - 1]]).sort());
    return key(this.landscape.reach(state)) !== key(this.reach);
  }

  layer(surface: Surface): Layer {
    let layer = this.layers.get(surface);
    if (!layer) {
      const k = this.landscape.surfaces.indexOf(surface);
      layer = new Layer(surface, this.world, this.shared, TINTS[Math.max(k, 0) % TINTS.length]);
      this.layers.set(surface, layer);
      this.space.add(layer.sheet, layer.prepass, layer.floor);
      this.flat.add(layer.map);
      for (const [n, path] of this.landscape.scene.paths.entries()) {
        if (!this.landscape.carries(surface, path)) continue;
        const color = path.color ?? PALETTE[n % PALETTE.length];
        const [trail, map] = [new Trail(path, color, this.world, false), new Trail(path, color, this.world, true)];
        const stems = new Stems(path, color, this.world);
        this.space.add(...trail.objects, ...stems.strokes.objects);
        this.flat.add(...map.objects);
        this.trails.push({ layer, trail, map, stems });
      }
      this.trailKey = "";
    }
    return layer;
  }

  /** Bring data and uniforms up to `state`; `morph` is 0 linear to 1 logarithmic, `step` the training step shown. */
  update(state: ViewState, drawn: Surface[], morph: number, step: number): void {
    const { world, shared } = this;
    world.morph = morph;
    world.exaggeration = state.exaggeration;
    this.useScale(this.landscape.scale(drawn, state), state);
    for (const surface of drawn) this.layer(surface).show(state.quantity, state.frame);
    this.applyColorBy(state, drawn);
    const key = JSON.stringify([drawn.map((s) => s.name), state.frame, morph, state.exaggeration, state.quantity, world.scale, step]);
    if (key !== this.trailKey) this.drape(step, state.quantity === "loss" && !this.landscape.isDifference(state));
    this.trailKey = key;
    shared.uHeight.value = world.height;
    this.light(state);
  }

  invalidate(): void {
    for (const layer of this.layers.values()) layer.frames.invalidate();
    this.trailKey = "";
  }

  colors(rgb: Uint8Array): void {
    this.shared.uColors.value.dispose();
    this.shared.uColors.value = colorTexture(rgb);
  }

  theme(theme: Theme): void {
    this.shared.uInkColor.value.set(theme.ink);
    this.meshColor = theme.mesh;
    this.shared.uPaper.value.set(theme.paper);
    this.shared.uUnknownColor.value.set(theme.unknown);
    this.box.ink(theme.box, theme.boxOpacity);
  }

  setHover(hover: { x: number; y: number; value: number } | null): void {
    const { shared, world } = this;
    shared.uHoverOn.value = hover ? 1 : 0;
    if (!hover) return;
    shared.uHover.value.set(hover.x, hover.y);
    shared.uHoverValue.value = Number.isNaN(hover.value) ? 1e9 : world.share(hover.value);
  }

  size(width: number, height: number, ratio: number): void {
    const r = this.renderer;
    if (r.getPixelRatio() !== ratio) r.setPixelRatio(ratio);
    const { width: w, height: h } = r.domElement;
    if (w !== Math.floor(width * ratio) || h !== Math.floor(height * ratio)) r.setSize(width, height, false);
    this.shared.uPixel.value = Math.max(ratio, 0.6);
  }

  draw(state: ViewState, views: View[], stride: number, wallLevels: number[], height: number): void {
    const { renderer } = this;
    renderer.setScissorTest(false);
    renderer.clear();
    renderer.setScissorTest(true);
    for (const view of views) {
      const { rect } = view;
      const cut = view.cut ?? rect;
      renderer.setViewport(rect.x, height - rect.y - rect.height, rect.width, rect.height);
      renderer.setScissor(cut.x, height - cut.y - cut.height, cut.width, cut.height);
      renderer.clearDepth();
      this.arrange(state, view, stride);
      if (!state.shared && view.kind === "surface" && view.surfaces.length === 1) this.useScale(this.scaleOf(view, state), state);
      if (view.kind === "surface") this.box.update(this.world, state.camera, wallLevels);
      renderer.render(view.kind === "surface" ? this.space : this.flat, cameraOf(view, state, this.world));
    }
  }

  scaleOf(view: View, state: ViewState): Scale {
    const surfaces = [...this.layers.keys()].filter((s) => view.surfaces.includes(s.name));
    return this.landscape.scale(surfaces, state);
  }

  useScale(scale: Scale, state: ViewState): void {
    const { shared, world } = this;
    world.scale = scale;
    shared.uLow.value = scale.low;
    shared.uHigh.value = scale.high;
    shared.uKnee.value = scale.knee;
    shared.uCurve.value = scale.curve === "log" ? 0 : 1;
    shared.uMorph.value = world.morph;
    shared.uClip.value = state.clip === null && this.landscape.colors[state.quantity]?.high == null ? 1e9 : 1.0005;
    shared.uContours.value = state.contours ? 1 : 0;
    const steps = contourSteps(scale, state.interval);
    shared.uStepLinear.value = steps.linear;
    shared.uStepLog.value = steps.log;
    const range = state.colorRange;
    if (range && !state.colorBy) shared.uColorRange.value.set(world.share(range[0]), world.share(range[1]));
    else shared.uColorRange.value.set(0, 1);
  }

  clear(): void {
    for (const { trail, map, stems } of this.trails) for (const t of [trail, map, stems.strokes]) { t.objects.forEach((o) => o.removeFromParent()); t.dispose(); }
    for (const layer of this.layers.values()) {
      for (const mesh of [layer.sheet, layer.prepass, layer.floor, layer.map]) mesh.removeFromParent();
      layer.dispose();
    }
    this.layers.clear();
    this.trails = [];
    this.trailKey = "";
  }

  dispose(): void {
    this.clear();
    this.renderer.dispose();
    this.renderer.forceContextLoss();
  }

  /** Positions of the heads of the visible paths on one layer. */
  heads(layer: Layer, step: number): { trail: Trail; at: [number, number, number] }[] {
    return this.trails.filter((t) => t.layer === layer).flatMap(({ trail }) => {
      const index = indexAtStep(trail.path, step);
      const at = trail.point(Math.floor(index), index % 1);
      return at ? [{ trail, at }] : [];
    });
  }

  private drape(step: number, isLoss: boolean): void {
    for (const { layer, trail, map, stems } of this.trails) {
      trail.drape((x, y) => layer.at(x, y), this.world);
      map.drape(() => 0, this.world);
      const until = Number.isFinite(step) ? indexAtStep(trail.path, step) : Infinity;
      trail.reveal(until);
      map.reveal(until);
      stems.show(until, (k) => trail.point(k, 0), this.world, isLoss);
    }
  }

  /** Show in the scene graphs exactly what this view draws. */
  private arrange(state: ViewState, view: View, stride: number): void {
    for (const [surface, layer] of this.layers) {
      const place = view.surfaces.indexOf(surface.name);
      const shown = place >= 0;
      const over = place > 0;
      layer.sheet.visible = shown;
      layer.floor.visible = shown && !over && state.floor;
      layer.map.visible = shown && !over;
      layer.style({ opacity: over ? 0.46 : 1, tintShare: over ? 0.9 : 0, mesh: over ? 2.2 : state.style === "mesh" ? 1 : 0, wire: !over && state.style === "wire", meshColor: over ? layer.tint : this.meshColor });
      layer.prepass.visible = layer.prepass.visible && shown;
      if (shown) layer.coarseness(stride);
    }
    for (const { layer, trail, map, stems } of this.trails) {
      const visible = view.surfaces[0] === layer.surface.name && !state.hiddenPaths.includes(trail.path.name);
      for (const object of [...trail.objects, ...map.objects, ...stems.strokes.objects]) object.visible = visible;
    }
  }

  private applyColorBy(state: ViewState, drawn: Surface[]): void {
    const other = state.colorBy && state.colorBy !== state.quantity && !this.landscape.isDifference(state) ? state.colorBy : "";
    this.shared.uColorByHeight.value = other ? 0 : 1;
    if (!other) return;
    const scale = this.landscape.colorScale(drawn, other);
    const range = state.colorRange ?? [scale.low, scale.high];
    const key = `${other}/${range}`;
    for (const surface of drawn) {
      this.layer(surface).frames.color(other, state.frame, (v) => (v - range[0]) / (range[1] - range[0] || 1), key);
    }
    this.shared.uColorRange.value.set(0, 1);
  }

  private light(state: ViewState): void {
    const from = axes({ ...state.camera, azimuth: state.camera.azimuth - 55 + state.light, elevation: 42 }).back;
    this.shared.uLight.value.set(...from).normalize();
    this.shared.uEye.value.set(...eye(state.camera));
  }
}

