// WebGL renderer: builds meshes and path lines for a scene, and draws the views of a state into one canvas.
import { ColorManagement, LinearSRGBColorSpace, Scene, WebGLRenderer } from "three";
import type { Surface } from "../data/surface";
import type { Theme } from "../dom/theme";
import { eyePosition, viewAxes } from "../math/camera";
import { contourIntervals } from "../math/contour";
import { WorldCoordinates } from "../math/coordinates";
import { type Scale } from "../math/scale";
import type { SceneModel } from "../sceneModel";
import { PATH_COLORS, SURFACE_TINTS, indexAtStep } from "../sceneModel";
import type { ViewState } from "../state";
import { BoxFrame } from "./boxFrame";
import { PathLine } from "./pathLine";
import { viewCamera } from "./projection";
import { Stems } from "./stems";
import { SurfaceMesh } from "./surfaceMesh";
import { colorTexture, sharedUniforms } from "./uniforms";
import type { View } from "./viewLayout";

ColorManagement.enabled = false;

export interface Hover { x: number; y: number; value: number; layer: SurfaceMesh }

export class Renderer {
  readonly webgl: WebGLRenderer;
  readonly uniforms = sharedUniforms();
  readonly meshes = new Map<Surface, SurfaceMesh>();
  world!: WorldCoordinates;
  private readonly surfaceScene = new Scene();
  private readonly mapScene = new Scene();
  private readonly boxFrame = new BoxFrame();
  private pathLines: { surfaceMesh: SurfaceMesh; line: PathLine; mapLine: PathLine; stems: Stems }[] = [];
  private sceneModel!: SceneModel;
  private meshColor = "#0b1020";
  private pathKey = "";
  private windowSurfaces: Surface[] = [];

  constructor(readonly canvas: HTMLCanvasElement) {
    this.webgl = new WebGLRenderer({ canvas, antialias: true, alpha: true, powerPreference: "high-performance" });
    this.webgl.outputColorSpace = LinearSRGBColorSpace;
    this.webgl.autoClear = false;
    this.webgl.setClearColor(0x000000, 0);
    this.webgl.info.autoReset = true;
    this.surfaceScene.add(this.boxFrame.lines);
  }

  load(sceneModel: SceneModel, state: ViewState): void {
    this.clear();
    this.sceneModel = sceneModel;
    const surfaces = sceneModel.windowSurfaces(state);
    this.windowSurfaces = surfaces;
    const ends = (axis: (s: Surface) => ArrayLike<number>): [number, number] => {
      const all = surfaces.flatMap((s) => [axis(s)[0], axis(s)[axis(s).length - 1]]);
      return all.length ? [Math.min(...all), Math.max(...all)] : [-1, 1];
    };
    this.world = new WorldCoordinates(ends((s) => s.alpha), ends((s) => s.beta), sceneModel.scale(sceneModel.visible(state), state));
  }

  /** Must the window change, as when a plane with other ends is chosen? */
  needsReload(state: ViewState): boolean {
    const key = (surfaces: Surface[]) =>
      JSON.stringify(surfaces.map((s) => [s.alpha[0], s.alpha[s.na - 1], s.beta[0], s.beta[s.nb - 1]]).sort());
    return key(this.sceneModel.windowSurfaces(state)) !== key(this.windowSurfaces);
  }

  meshOf(surface: Surface): SurfaceMesh {
    let surfaceMesh = this.meshes.get(surface);
    if (!surfaceMesh) {
      const k = this.sceneModel.surfaces.indexOf(surface);
      surfaceMesh = new SurfaceMesh(surface, this.world, this.uniforms, SURFACE_TINTS[Math.max(k, 0) % SURFACE_TINTS.length]);
      this.meshes.set(surface, surfaceMesh);
      this.surfaceScene.add(surfaceMesh.mesh, surfaceMesh.depthPrepass, surfaceMesh.floorMap);
      this.mapScene.add(surfaceMesh.contourMap);
      for (const [n, path] of this.sceneModel.scene.paths.entries()) {
        if (!this.sceneModel.showsPath(surface, path)) continue;
        const color = path.color ?? PATH_COLORS[n % PATH_COLORS.length];
        const [line, mapLine] = [new PathLine(path, color, this.world, false), new PathLine(path, color, this.world, true)];
        const stems = new Stems(path, color, this.world);
        this.surfaceScene.add(...line.objects, ...stems.lines.objects);
        this.mapScene.add(...mapLine.objects);
        this.pathLines.push({ surfaceMesh, line, mapLine, stems });
      }
      this.pathKey = "";
    }
    return surfaceMesh;
  }

  /** Bring data and uniforms up to `state`; `morph` is 0 linear to 1 logarithmic, `step` the training step shown. */
  update(state: ViewState, drawn: Surface[], morph: number, step: number): void {
    const { world, uniforms } = this;
    world.morph = morph;
    world.exaggeration = state.exaggeration;
    this.useScale(this.sceneModel.scale(drawn, state), state);
    for (const surface of drawn) this.meshOf(surface).showFrame(state.quantity, state.frame);
    this.applyColorBy(state, drawn);
    const key = JSON.stringify([drawn.map((s) => s.name), state.frame, morph, state.exaggeration, state.quantity, world.scale, step]);
    if (key !== this.pathKey) this.updatePaths(step, state.quantity === "loss" && !this.sceneModel.isDifference(state));
    this.pathKey = key;
    uniforms.uHeight.value = world.height;
    this.updateLight(state);
  }

  invalidate(): void {
    for (const surfaceMesh of this.meshes.values()) surfaceMesh.framePair.invalidate();
    this.pathKey = "";
  }

  setColormap(rgb: Uint8Array): void {
    this.uniforms.uColors.value.dispose();
    this.uniforms.uColors.value = colorTexture(rgb);
  }

  setTheme(theme: Theme): void {
    this.uniforms.uInkColor.value.set(theme.ink);
    this.meshColor = theme.mesh;
    this.uniforms.uPaper.value.set(theme.paper);
    this.uniforms.uUnknownColor.value.set(theme.unknown);
    this.boxFrame.setColor(theme.box, theme.boxOpacity);
  }

  setHover(hover: { x: number; y: number; value: number } | null): void {
    const { uniforms, world } = this;
    uniforms.uHoverOn.value = hover ? 1 : 0;
    if (!hover) return;
    uniforms.uHover.value.set(hover.x, hover.y);
    uniforms.uHoverValue.value = Number.isNaN(hover.value) ? 1e9 : world.normalize(hover.value);
  }

  setSize(width: number, height: number, ratio: number): void {
    const r = this.webgl;
    if (r.getPixelRatio() !== ratio) r.setPixelRatio(ratio);
    const { width: w, height: h } = r.domElement;
    if (w !== Math.floor(width * ratio) || h !== Math.floor(height * ratio)) r.setSize(width, height, false);
    this.uniforms.uPixel.value = Math.max(ratio, 0.6);
  }

  draw(state: ViewState, views: View[], stride: number, wallLevels: number[], height: number): void {
    const { webgl } = this;
    webgl.setScissorTest(false);
    webgl.clear();
    webgl.setScissorTest(true);
    for (const view of views) {
      const { rect } = view;
      const clip = view.clipRect ?? rect;
      webgl.setViewport(rect.x, height - rect.y - rect.height, rect.width, rect.height);
      webgl.setScissor(clip.x, height - clip.y - clip.height, clip.width, clip.height);
      webgl.clearDepth();
      this.applyVisibility(state, view, stride);
      if (!state.shared && view.kind === "surface" && view.surfaces.length === 1) this.useScale(this.scaleOf(view, state), state);
      if (view.kind === "surface") this.boxFrame.update(this.world, state.camera, wallLevels);
      webgl.render(view.kind === "surface" ? this.surfaceScene : this.mapScene, viewCamera(view, state, this.world));
    }
  }

  scaleOf(view: View, state: ViewState): Scale {
    const surfaces = [...this.meshes.keys()].filter((s) => view.surfaces.includes(s.name));
    return this.sceneModel.scale(surfaces, state);
  }

  useScale(scale: Scale, state: ViewState): void {
    const { uniforms, world } = this;
    world.scale = scale;
    uniforms.uLow.value = scale.low;
    uniforms.uHigh.value = scale.high;
    uniforms.uLinearThreshold.value = scale.linearThreshold;
    uniforms.uCurve.value = scale.curve === "log" ? 0 : 1;
    uniforms.uMorph.value = world.morph;
    uniforms.uClip.value = state.clip === null && this.sceneModel.colors[state.quantity]?.high == null ? 1e9 : 1.0005;
    uniforms.uContours.value = state.contours ? 1 : 0;
    const steps = contourIntervals(scale, state.interval);
    uniforms.uStepLinear.value = steps.linear;
    uniforms.uStepLog.value = steps.log;
    const range = state.colorRange;
    if (range && !state.colorBy) uniforms.uColorRange.value.set(world.normalize(range[0]), world.normalize(range[1]));
    else uniforms.uColorRange.value.set(0, 1);
  }

  clear(): void {
    for (const { line, mapLine, stems } of this.pathLines)
      for (const t of [line, mapLine, stems.lines]) {
        t.objects.forEach((o) => o.removeFromParent());
        t.dispose();
      }
    for (const surfaceMesh of this.meshes.values()) {
      for (const mesh of [surfaceMesh.mesh, surfaceMesh.depthPrepass, surfaceMesh.floorMap, surfaceMesh.contourMap])
        mesh.removeFromParent();
      surfaceMesh.dispose();
    }
    this.meshes.clear();
    this.pathLines = [];
    this.pathKey = "";
  }

  dispose(): void {
    this.clear();
    this.webgl.dispose();
    this.webgl.forceContextLoss();
  }

  private updatePaths(step: number, isLoss: boolean): void {
    for (const { surfaceMesh, line, mapLine, stems } of this.pathLines) {
      line.drape((x, y) => surfaceMesh.valueAt(x, y), this.world);
      mapLine.drape(() => 0, this.world);
      const until = Number.isFinite(step) ? indexAtStep(line.path, step) : Infinity;
      line.showUntil(until);
      mapLine.showUntil(until);
      stems.showUntil(until, (k) => line.point(k, 0), this.world, isLoss);
    }
  }

  /** Show in the scene graphs exactly what this view draws. */
  private applyVisibility(state: ViewState, view: View, stride: number): void {
    for (const [surface, surfaceMesh] of this.meshes) {
      const position = view.surfaces.indexOf(surface.name);
      const shown = position >= 0;
      const over = position > 0;
      surfaceMesh.mesh.visible = shown;
      surfaceMesh.floorMap.visible = shown && !over && state.floor;
      surfaceMesh.contourMap.visible = shown && !over;
      surfaceMesh.setStyle({
        opacity: over ? 0.46 : 1,
        tintShare: over ? 0.9 : 0,
        mesh: over ? 2.2 : state.style === "mesh" ? 1 : 0,
        wire: !over && state.style === "wire",
        meshColor: over ? surfaceMesh.tint : this.meshColor,
      });
      surfaceMesh.depthPrepass.visible = surfaceMesh.depthPrepass.visible && shown;
      if (shown) surfaceMesh.setStride(stride);
    }
    for (const { surfaceMesh, line, mapLine, stems } of this.pathLines) {
      const visible = view.surfaces[0] === surfaceMesh.surface.name && !state.hiddenPaths.includes(line.path.name);
      for (const object of [...line.objects, ...mapLine.objects, ...stems.lines.objects]) object.visible = visible;
    }
  }

  private applyColorBy(state: ViewState, drawn: Surface[]): void {
    const other = state.colorBy && state.colorBy !== state.quantity && !this.sceneModel.isDifference(state) ? state.colorBy : "";
    this.uniforms.uColorByHeight.value = other ? 0 : 1;
    if (!other) return;
    const scale = this.sceneModel.colorScale(drawn, other);
    const range = state.colorRange ?? [scale.low, scale.high];
    const key = `${other}/${range}`;
    for (const surface of drawn) {
      this.meshOf(surface).framePair.setColorQuantity(other, state.frame, (v) => (v - range[0]) / (range[1] - range[0] || 1), key);
    }
    this.uniforms.uColorRange.value.set(0, 1);
  }

  private updateLight(state: ViewState): void {
    const from = viewAxes({ ...state.camera, azimuth: state.camera.azimuth - 55 + state.light, elevation: 42 }).back;
    this.uniforms.uLight.value.set(...from).normalize();
    this.uniforms.uEye.value.set(...eyePosition(state.camera));
  }
}

