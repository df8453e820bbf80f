// Viewer: builds the page of one element, connects events, and redraws on changes.
import { addDocument } from "./addDocument";
import { Animator } from "./animator";
import { aboutPanel } from "./chrome/about";
import { helpPanel } from "./chrome/help";
import { Page } from "./chrome/page";
import { Panels } from "./chrome/panels";
import { RunControls, type RunStatus } from "./chrome/runControls";
import { settingsPanel } from "./chrome/settings";
import { sharePanel } from "./chrome/share";
import { Timebar } from "./chrome/timebar";
import { Toolbar } from "./chrome/toolbar";
import { PayloadError } from "./data/decode";
import { openFile } from "./data/openFile";
import type { Document } from "./data/types";
import { fitCanvas } from "./dom/canvas";
import { h } from "./dom/elements";
import style from "./dom/style.css";
import { themeOf } from "./dom/theme";
import { AdaptiveQuality } from "./gl/adaptiveQuality";
import { acquire, release } from "./gl/contextPool";
import { Renderer } from "./gl/renderer";
import { listenForDrops } from "./input/drop";
import { Gestures } from "./input/gestures";
import { handleKey, makeActions, type ViewerActions } from "./input/keys";
import { listenToPointer } from "./input/pointer";
import { paintOverlay, wallLevels } from "./overlay/overlayPainter";
import { Tooltip } from "./overlay/tooltip";
import { Cards } from "./plots/cards";
import { FallbackMap } from "./plots/fallbackMap";
import { LinesPane } from "./plots/lines";
import { ProfilePane } from "./plots/profile";
import { Session } from "./session";
import { fromHash, toHash, type ViewState } from "./state";

export interface Options {
  /** Keep the state in the page's address. */
  address?: boolean;
  /** The wheel zooms at once (the whole page is ours). */
  wheel?: boolean;
  state?: Partial<ViewState>;
  /** Live: progress text. */
  progress?: string;
  /** Live: sends a request to the evaluation. */
  sendRequest?: (request: object) => void;
}

export class Viewer {
  readonly session: Session;
  readonly root: ShadowRoot;
  readonly animator: Animator;
  private readonly page: Page;
  private canvas = h("canvas", { class: "gl" });
  private readonly overlayCanvas = h("canvas", { class: "overlay" });
  private readonly runControls: RunControls;
  private readonly tooltip = new Tooltip();
  private readonly quality = new AdaptiveQuality();
  private readonly actions: ViewerActions;
  private toolbar: Toolbar;
  private timebar: Timebar;
  private readonly cards: Cards;
  private readonly lines: LinesPane;
  private readonly profile: ProfilePane;
  private fallbackMap: FallbackMap | null = null;
  private readonly panels: Panels;
  private frameRequest = 0;
  private qualityTimer = 0;
  private hashTimer = 0;
  private dirty = true;
  private readonly gestures: Gestures;
  private contextReleased = false;
  private readonly disposers: (() => void)[] = [];
  disposed = false;
  drawnFrames = 0; // since the start; tests and benchmarks read it

  constructor(readonly element: HTMLElement, document: Document, readonly options: Options = {}) {
    this.session = new Session(document, options.state ?? {});
    this.root = element.shadowRoot ?? element.attachShadow({ mode: "open" });
    this.page = new Page(this.session);
    this.animator = new Animator(this.session, () => this.invalidate());
    const panel = (name: string) => name === "settings" ? settingsPanel(this.session, this.actions)
      : name === "share" ? sharePanel(this) : name === "info" ? aboutPanel(this.session) : helpPanel();
    this.panels = new Panels(this.page.viewport, panel, (name) => this.toolbar.update(this.state, name));
    this.actions = makeActions(this.session, this.animator, this.panels);
    const host = {
      actions: () => this.actions,
      invalidate: () => this.invalidate(),
      panelOpen: () => this.panels.name !== null,
      focus: () => this.page.viewport.focus({ preventScroll: true }),
      selectionDone: () => this.runControls.submitRegion(),
      setCursor: (kind: string) => {
        this.page.viewport.style.cursor = kind;
      },
    };
    this.gestures = new Gestures(this.session, this.animator, this.tooltip, host, !!options.wheel);
    this.toolbar = new Toolbar(this.session, this.actions);
    this.timebar = new Timebar(this.session, this.actions);
    this.cards = new Cards(this.session);
    this.lines = new LinesPane(this.session);
    this.profile = new ProfilePane(this.session, () => this.actions.set({ probes: [] }));
    this.runControls = new RunControls(this.session, options.sendRequest, () => this.invalidate());
    this.showProgress(options.progress ?? "");
    this.build();
    this.startRenderer();
    this.rebuild();
    this.listen();
  }

  get state(): ViewState { return this.session.state; }

  /** Draw at the next occasion. */
  invalidate(): void {
    this.dirty = true;
    if (!this.frameRequest && !this.disposed) this.frameRequest = requestAnimationFrame((now) => this.tick(now));
  }

  /** New data for the open scene (live): what is seen and set stays. */
  refresh(): void {
    for (const surface of this.session.sceneModel.surfaces) surface.clearRanges();
    this.session.sceneModel.clearDifferences();
    this.session.renderer?.invalidate();
    this.dirty = true;
    this.updateMessage();
    this.updateChrome();
    this.invalidate();
  }

  showProgress(progress: string, lost = false, steering: RunStatus | null = null): void {
    this.session.progress = progress;
    this.runControls.showProgress(progress, lost, steering);
  }

  toast(message: string, milliseconds?: number): void { this.page.toast(message, milliseconds); }

  dispose(): void {
    this.disposed = true;
    cancelAnimationFrame(this.frameRequest);
    clearTimeout(this.qualityTimer);
    clearTimeout(this.hashTimer);
    this.animator.stop();
    release(this);
    for (const end of this.disposers) end();
    this.session.renderer?.dispose();
    this.root.replaceChildren();
  }

  /** Draw this moment at full quality into the canvas; exports read it in the same task. */
  drawNow(ratio = devicePixelRatio || 1): void { this.draw(ratio, 1); }

  /** Keep the last picture as an image and give the graphics context back. */
  releaseContext(): void {
    const { renderer } = this.session;
    if (!renderer || this.disposed) return;
    this.drawNow();
    const still = document.createElement("canvas");
    Object.assign(still, { width: this.canvas.width, height: this.canvas.height });
    still.getContext("2d")!.drawImage(this.canvas, 0, 0);
    renderer.dispose();
    this.session.renderer = null;
    this.canvas.replaceWith(still);
    this.canvas = still;
    this.contextReleased = true;
  }

  private restoreContext(): void {
    this.session.renderer?.clear();
    const canvas = h("canvas", { class: "gl" });
    this.canvas.replaceWith(canvas);
    this.canvas = canvas;
    this.contextReleased = false;
    this.startRenderer();
    this.loadScene();
  }

  get glCanvas(): HTMLCanvasElement { return this.canvas; }

  // -- making ------------------------------------------------------------------------------------------------

  private build(): void {
    this.page.build({
      canvases: [this.canvas, this.overlayCanvas],
      panes: [this.lines.element, this.profile.element],
      controls: [this.toolbar.element, this.tooltip.element],
      beforeBanner: [this.cards.element, this.runControls.element],
      afterBanner: [this.timebar.element],
    });
    this.root.replaceChildren(h("style", {}, style), this.page.frame);
  }

  private startRenderer(): void {
    try {
      acquire(this);
      this.session.renderer = new Renderer(this.canvas);
      this.watchContext();
    } catch {
      this.fallbackMap = new FallbackMap(this.session, () => this.invalidate());
      this.canvas.replaceWith(this.fallbackMap.canvas);
    }
  }

  private watchContext(): void {
    this.canvas.addEventListener("webglcontextlost", (event) => {
      event.preventDefault();
      if (!this.disposed && !this.contextReleased)
        this.page.banner.show("The graphics context was lost; waiting for the browser to restore it.");
    });
    const canvas = this.canvas;
    canvas.addEventListener("webglcontextrestored", () => {
      if (this.disposed || this.contextReleased || canvas !== this.canvas) return;
      this.page.banner.show("");
      this.session.renderer?.clear();
      this.session.renderer = null;
      this.contextReleased = true;
      this.invalidate();
    });
  }

  /** (Re)build for the scene that is open. */
  private rebuild(): void {
    this.updateMessage();
    this.loadScene();
    this.applyTheme();
    this.updateChrome();
    this.invalidate();
  }

  private updateMessage(): void {
    const { sceneModel } = this.session;
    this.lines.element.hidden = sceneModel.surfaces.length > 0 || !sceneModel.lines.length;
    this.page.updateMessage();
  }

  private loadScene(): void {
    this.session.renderer?.load(this.session.sceneModel, this.state);
    this.session.renderer?.setColormap(this.session.rgb);
    this.session.renderer?.setTheme(this.session.theme);
  }

  /** Show another of the document's scenes, or a new version of this one. */
  openScene(index: number): void {
    const { session } = this;
    session.open(index);
    session.store.set(
      session.adaptToScene({ ...session.state, scene: index, hiddenPaths: [], probes: [], colorRange: null, active: "" }, {}),
    );
    session.morph = session.state.log ? 1 : 0;
    this.rebuild();
  }

  /** Open a dropped file: surfaces are added to the open scene, a picture restores its view. */
  async openDroppedFile(file: { name: string; arrayBuffer(): Promise<ArrayBuffer> }): Promise<void> {
    try {
      const opened = await openFile(file.name, new Uint8Array(await file.arrayBuffer()));
      if (opened.kind === "view") return this.applyView(opened.hash);
      const origin = file.name.replace(/\.[a-z]+$/i, "");
      addDocument(this.session, opened.document, origin);
      this.rebuild();
      this.toast(`${origin} was laid over`);
    } catch (error) {
      this.toast(
        error instanceof PayloadError
          ? error.message
          : `${file.name} could not be read: ${error instanceof Error ? error.message : String(error)}`,
        6000,
      );
    }
  }

  private applyView(hash: string): void {
    const { scene = this.state.scene, ...view } = fromHash(hash);
    if (scene !== this.state.scene && scene < this.session.document.scenes.length) this.openScene(scene);
    this.actions.set({ ...this.session.store.initial, ...view, scene: this.state.scene });
    this.toast("The view of that picture");
  }

  private applyTheme(): void {
    const { session } = this;
    session.theme = themeOf(session.state.theme);
    this.page.frame.classList.toggle("dark", session.theme.name === "dark");
    session.renderer?.setTheme(session.theme);
    session.renderer?.setColormap(session.rgb);
  }

  // -- listening ---------------------------------------------------------------------------------------------

  private listen(): void {
    const observer = new ResizeObserver(() => this.invalidate());
    observer.observe(this.page.viewport);
    const onKey = (event: KeyboardEvent) => {
      const target = event.composedPath()[0];
      if (target instanceof HTMLInputElement || target instanceof HTMLSelectElement || target instanceof HTMLTextAreaElement) return;
      if (target instanceof HTMLButtonElement && event.key === " ") return;
      if (handleKey(event, this.session, this.actions)) event.preventDefault();
    };
    const keyTarget: EventTarget = this.options.wheel ? window : this.page.frame;
    keyTarget.addEventListener("keydown", onKey as EventListener);
    const scheme = matchMedia("(prefers-color-scheme: dark)");
    const onScheme = () => { this.applyTheme(); this.invalidate(); };
    scheme.addEventListener("change", onScheme);
    this.disposers.push(listenToPointer(this.page.viewport, this.gestures.handlers()), () => observer.disconnect(),
      () => keyTarget.removeEventListener("keydown", onKey as EventListener), () => scheme.removeEventListener("change", onScheme),
      this.session.store.listen((state, onStateChange) => this.changed(state, onStateChange)));
    this.disposers.push(listenForDrops(this.page.frame, (file) => void this.openDroppedFile(file)));
    if (this.options.address) {
      const onHash = () => { const view = this.session.hash(); if (Object.keys(view).length) this.actions.set(view); };
      addEventListener("hashchange", onHash);
      this.disposers.push(() => removeEventListener("hashchange", onHash));
    }
  }

  private changed(state: ViewState, changed: Set<keyof ViewState>): void {
    if (changed.has("theme")) this.applyTheme();
    if (changed.has("colormap") || changed.has("mode") || changed.has("hidden")) this.session.renderer?.setColormap(this.session.rgb);
    if (changed.has("hidden") || changed.has("hiddenPaths")) {
      this.session.updateTimeline(state);
      if (this.session.renderer?.needsReload(state)) this.loadScene();
    }
    this.animator.onStateChange(state, changed);
    const quick = [...changed].every((key) => key === "camera" || key === "mapView");
    if (!quick) this.updateChrome(changed.has("frame") && changed.size === 1);
    this.invalidate();
    if (this.options.address && !state.playing) {
      clearTimeout(this.hashTimer);
      this.hashTimer = window.setTimeout(() => this.writeHash(), 250);
    }
  }

  private writeHash(): void {
    const hash = toHash(this.state, this.session.store.initial);
    if (hash !== location.hash) history.replaceState(null, "", hash || location.pathname + location.search);
  }

  // -- the page's parts --------------------------------------------------------------------------------------

  private updateChrome(onlyFrame = false): void {
    const { session, state } = this;
    this.timebar.update();
    if (onlyFrame) return;
    this.page.frame.classList.toggle("bare", state.ui === "0");
    this.page.frame.classList.toggle("min", state.ui === "min");
    this.toolbar.update(state, this.panels.name);
    this.page.legend.update(session, (change) => this.actions.set(change));
    this.page.placeLegend();
    const warnings = this.fallbackMap ? ["This browser has no WebGL here, so the landscape is shown as a flat map."] : [];
    this.page.updateText(warnings, (index) => this.openScene(index), () => this.panels.toggle("info"));
  }

  // -- drawing -----------------------------------------------------------------------------------------------

  private tick(now: number): void {
    this.frameRequest = 0;
    if (this.disposed) return;
    const moving = this.animator.advance(now);
    const { clientWidth: width, clientHeight: height } = this.page.viewport;
    if (!width || !height) return;
    [this.session.width, this.session.height, this.session.headingBottom] = [width, height, this.page.headingBottom];
    this.page.placeLegend();
    const level = this.quality.frame(now, moving || this.gestures.dragTarget !== null || this.animator.changedRecently(now));
    if (this.dirty || moving) this.draw((devicePixelRatio || 1) * level.ratio, level.stride);
    this.dirty = moving;
    if (moving) this.invalidate();
    else if (level.ratio < 1 || level.stride > 1 || this.quality.settlesIn !== null) {
      clearTimeout(this.qualityTimer);
      this.qualityTimer = window.setTimeout(() => this.invalidate(), 240);
    }
  }

  private draw(ratio: number, stride: number): void {
    if (this.contextReleased) this.restoreContext();
    const { session, overlayCanvas } = this;
    const { width, height, renderer, state } = session;
    this.drawnFrames++;
    const drawn = session.drawn;
    if (renderer && drawn.length) {
      acquire(this);
      renderer.setSize(width, height, ratio);
      renderer.update(state, drawn, session.morph, session.step);
      renderer.setHover(session.hovered);
      renderer.draw(state, session.views(), stride, wallLevels(session).map((w) => w.z), height);
    }
    const context = fitCanvas(overlayCanvas, width, height);
    if (this.fallbackMap && drawn.length) this.fallbackMap.draw(width, height);
    else paintOverlay(session, context);
    this.page.limitLegendHeight();
    this.cards.update();
    this.lines.update();
    this.profile.update();
  }
}
