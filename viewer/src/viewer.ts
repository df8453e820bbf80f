// One viewer in one element: makes the page's parts, listens, and draws when something has changed.
import { overlay } from "./addDocument";
import { Motion } from "./animator";
import { aboutPanel, differences, footLine, inWords } from "./chrome/about";
import { Banner } from "./chrome/banner";
import { helpPanel } from "./chrome/help";
import { Legend } from "./chrome/legend";
import { elsewhere, emptyMessage, headingOf, lacking } from "./chrome/pageText";
import { Panels } from "./chrome/panels";
import { Steer, type Steering } from "./chrome/runControls";
import { settingsPanel } from "./chrome/settings";
import { sharePanel } from "./chrome/share";
import { Timebar } from "./chrome/timebar";
import { Toolbar } from "./chrome/toolbar";
import { PayloadError } from "./data/decode";
import { openFile } from "./data/openFile";
import type { Document } from "./data/types";
import { fitCanvas } from "./dom/canvas";
import { h, icon } from "./dom/elements";
import style from "./dom/style.css";
import { themeOf } from "./dom/theme";
import { Quality } from "./gl/adaptiveQuality";
import { occupy, release } from "./gl/contextPool";
import { Stage } from "./gl/renderer";
import { listenForDrops } from "./input/drop";
import { Hands } from "./input/gestures";
import { keysOf, press, type Keys } from "./input/keys";
import { listen } from "./input/pointer";
import { percent } from "./math/ticks";
import { paint, wallHeights } from "./overlay/overlayPainter";
import { Tooltip } from "./overlay/tooltip";
import { Cards } from "./plots/cards";
import { Fallback } from "./plots/fallbackMap";
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
  /** Live: what is going on, in words. */
  progress?: string;
  /** Live: sends a wish to the evaluation. */
  ask?: (wish: object) => void;
}

export class Viewer {
  readonly session: Session;
  readonly root: ShadowRoot;
  readonly frame = h("div", { class: "viewer" });
  readonly stageElement = h("div", { class: "stage", tabindex: "0", role: "img" });
  readonly motion: Motion;
  private canvas = h("canvas", { class: "gl" });
  private readonly drawing = h("canvas", { class: "overlay" });
  private readonly heading = h("div", { class: "heading" });
  private readonly words = h("div", { class: "unseen", "aria-live": "polite" });
  private readonly foot = h("div", { class: "foot" });
  private readonly banner = new Banner();
  private readonly steer: Steer;
  private readonly message = h("div", { class: "message", hidden: true, role: "alert" });
  private readonly tooltip = new Tooltip();
  private readonly legend = new Legend();
  private readonly quality = new Quality();
  private readonly keys: Keys;
  private toolbar: Toolbar;
  private timebar: Timebar;
  private readonly cards: Cards;
  private readonly lines: LinesPane;
  private readonly profile: ProfilePane;
  private fallback: Fallback | null = null;
  private readonly panels: Panels;
  private pending = 0;
  private resting = 0;
  private hashTimer = 0;
  private dirty = true;
  private readonly hands: Hands;
  private frozen = false;
  private readonly ends: (() => void)[] = [];
  disposed = false;
  drawnFrames = 0; // since the start; tests and benchmarks read it

  constructor(readonly element: HTMLElement, document: Document, readonly options: Options = {}) {
    this.session = new Session(document, options.state ?? {});
    this.root = element.shadowRoot ?? element.attachShadow({ mode: "open" });
    this.motion = new Motion(this.session, () => this.invalidate());
    const panel = (name: string) => name === "settings" ? settingsPanel(this.session, this.keys)
      : name === "share" ? sharePanel(this) : name === "info" ? aboutPanel(this.session) : helpPanel();
    this.panels = new Panels(this.stageElement, panel, (name) => this.toolbar.update(this.state, name));
    this.keys = keysOf(this.session, this.motion, this.panels);
    const host = { keys: () => this.keys, invalidate: () => this.invalidate(), panelOpen: () => this.panels.name !== null, focus: () => this.stageElement.focus({ preventScroll: true }), banded: () => this.steer.drawn(), cursor: (kind: string) => { this.stageElement.style.cursor = kind; } };
    this.hands = new Hands(this.session, this.motion, this.tooltip, host, !!options.wheel);
    this.toolbar = new Toolbar(this.session, this.keys);
    this.timebar = new Timebar(this.session, this.keys);
    this.cards = new Cards(this.session);
    this.lines = new LinesPane(this.session);
    this.profile = new ProfilePane(this.session, () => this.keys.set({ probes: [] }));
    this.steer = new Steer(this.session, options.ask, () => this.invalidate());
    this.say(options.progress ?? "");
    this.build();
    this.startStage();
    this.open();
    this.listen();
  }

  get state(): ViewState { return this.session.state; }

  /** Draw at the next occasion. */
  invalidate(): void {
    this.dirty = true;
    if (!this.pending && !this.disposed) this.pending = requestAnimationFrame((now) => this.tick(now));
  }

  /** New data for the open scene (live): what is seen and set stays. */
  refresh(): void {
    for (const surface of this.session.landscape.surfaces) surface.touch();
    this.session.landscape.forgetDifferences();
    this.session.stage?.invalidate();
    this.dirty = true;
    this.updateMessage();
    this.updateChrome();
    this.invalidate();
  }

  say(progress: string, lost = false, steering: Steering | null = null): void {
    this.session.progress = progress;
    this.steer.say(progress, lost, steering);
  }

  toast(words: string, milliseconds = 2200): void {
    const element = h("div", { class: "toast", role: "status" }, words);
    this.frame.append(element);
    setTimeout(() => element.remove(), milliseconds);
  }

  dispose(): void {
    this.disposed = true;
    cancelAnimationFrame(this.pending);
    clearTimeout(this.resting);
    clearTimeout(this.hashTimer);
    this.motion.stop();
    release(this);
    for (const end of this.ends) end();
    this.session.stage?.dispose();
    this.root.replaceChildren();
  }

  /** Draw this moment at full quality into the canvas; exports read it in the same task. */
  drawNow(ratio = devicePixelRatio || 1): void { this.draw(ratio, 1); }

  /** Keep the last picture as an image and give the graphics context back. */
  freeze(): void {
    const { stage } = this.session;
    if (!stage || this.disposed) return;
    this.drawNow();
    const still = document.createElement("canvas");
    Object.assign(still, { width: this.canvas.width, height: this.canvas.height });
    still.getContext("2d")!.drawImage(this.canvas, 0, 0);
    stage.dispose();
    this.session.stage = null;
    this.canvas.replaceWith(still);
    this.canvas = still;
    this.frozen = true;
  }

  private thaw(): void {
    this.session.stage?.clear();
    const fresh = h("canvas", { class: "gl" });
    this.canvas.replaceWith(fresh);
    this.canvas = fresh;
    this.frozen = false;
    this.startStage();
    this.loadStage();
  }

  get glCanvas(): HTMLCanvasElement { return this.canvas; }

  // -- making ------------------------------------------------------------------------------------------------

  private build(): void {
    this.stageElement.append(this.canvas, this.drawing, this.heading, this.legend.element, this.lines.element, this.profile.element, this.message, this.toolbar.element, this.tooltip.element);
    this.frame.append(this.stageElement, this.cards.element, this.steer.element, this.banner.element, this.timebar.element, this.foot, this.words);
    this.root.replaceChildren(h("style", {}, style), this.frame);
  }

  private startStage(): void {
    try {
      occupy(this);
      this.session.stage = new Stage(this.canvas);
      this.watchContext();
    } catch {
      this.fallback = new Fallback(this.session, () => this.invalidate());
      this.canvas.replaceWith(this.fallback.canvas);
    }
  }

  private watchContext(): void {
    this.canvas.addEventListener("webglcontextlost", (event) => {
      event.preventDefault();
      if (!this.disposed && !this.frozen) this.banner.say("The graphics context was lost; waiting for the browser to restore it.");
    });
    const canvas = this.canvas;
    canvas.addEventListener("webglcontextrestored", () => {
      if (this.disposed || this.frozen || canvas !== this.canvas) return;
      this.banner.say("");
      this.session.stage?.clear();
      this.session.stage = null;
      this.frozen = true;
      this.invalidate();
    });
  }

  /** (Re)build for the scene that is open. */
  private open(): void {
    this.updateMessage();
    this.loadStage();
    this.applyTheme();
    this.updateChrome();
    this.invalidate();
  }

  /** What stands in the middle while there is nothing to draw. */
  private updateMessage(): void {
    const { landscape } = this.session;
    const words = emptyMessage(landscape);
    this.lines.element.hidden = landscape.surfaces.length > 0 || !landscape.lines.length;
    this.message.hidden = !words;
    this.message.replaceChildren(...(words ? [words] : []));
  }

  private loadStage(): void {
    this.session.stage?.load(this.session.landscape, this.state);
    this.session.stage?.colors(this.session.rgb);
    this.session.stage?.theme(this.session.theme);
  }

  /** Show another of the document's scenes, or a new version of this one. */
  openScene(index: number): void {
    const { session } = this;
    session.open(index);
    session.store.set(session.fitted({ ...session.state, scene: index, hiddenPaths: [], probes: [], colorRange: null, active: "" }, {}));
    session.morph = session.state.log ? 1 : 0;
    this.open();
  }

  /** A dropped file: landscapes are laid over these, a picture brings its view. */
  async take(file: { name: string; arrayBuffer(): Promise<ArrayBuffer> }): Promise<void> {
    try {
      const opened = await openFile(file.name, new Uint8Array(await file.arrayBuffer()));
      if (opened.kind === "view") return this.showView(opened.hash);
      const origin = file.name.replace(/\.[a-z]+$/i, "");
      overlay(this.session, opened.document, origin);
      this.open();
      this.toast(`${origin} was laid over`);
    } catch (error) {
      this.toast(error instanceof PayloadError ? error.message : `${file.name} could not be read: ${error instanceof Error ? error.message : String(error)}`, 6000);
    }
  }

  private showView(hash: string): void {
    const { scene = this.state.scene, ...wanted } = fromHash(hash);
    if (scene !== this.state.scene && scene < this.session.document.scenes.length) this.openScene(scene);
    this.keys.set({ ...this.session.store.initial, ...wanted, scene: this.state.scene });
    this.toast("The view of that picture");
  }

  private applyTheme(): void {
    const { session } = this;
    session.theme = themeOf(session.state.theme);
    this.frame.classList.toggle("dark", session.theme.name === "dark");
    session.stage?.theme(session.theme);
    session.stage?.colors(session.rgb);
  }

  // -- listening ---------------------------------------------------------------------------------------------

  private listen(): void {
    const observer = new ResizeObserver(() => this.invalidate());
    observer.observe(this.stageElement);
    const onKey = (event: KeyboardEvent) => {
      const target = event.composedPath()[0];
      if (target instanceof HTMLInputElement || target instanceof HTMLSelectElement || target instanceof HTMLTextAreaElement) return;
      if (target instanceof HTMLButtonElement && event.key === " ") return;
      if (press(event, this.session, this.keys)) event.preventDefault();
    };
    const keyTarget: EventTarget = this.options.wheel ? window : this.frame;
    keyTarget.addEventListener("keydown", onKey as EventListener);
    const scheme = matchMedia("(prefers-color-scheme: dark)");
    const onScheme = () => { this.applyTheme(); this.invalidate(); };
    scheme.addEventListener("change", onScheme);
    this.ends.push(listen(this.stageElement, this.hands.verbs()), () => observer.disconnect(),
      () => keyTarget.removeEventListener("keydown", onKey as EventListener), () => scheme.removeEventListener("change", onScheme),
      this.session.store.listen((state, changed) => this.changed(state, changed)));
    this.ends.push(listenForDrops(this.frame, (file) => void this.take(file)));
    if (this.options.address) {
      const onHash = () => { const wanted = this.session.hash(); if (Object.keys(wanted).length) this.keys.set(wanted); };
      addEventListener("hashchange", onHash);
      this.ends.push(() => removeEventListener("hashchange", onHash));
    }
  }

  private changed(state: ViewState, changed: Set<keyof ViewState>): void {
    if (changed.has("theme")) this.applyTheme();
    if (changed.has("colormap") || changed.has("mode") || changed.has("hidden")) this.session.stage?.colors(this.session.rgb);
    if (changed.has("hidden") || changed.has("hiddenPaths")) {
      this.session.retime(state);
      if (this.session.stage?.outgrown(state)) this.loadStage();
    }
    this.motion.follow(state, changed);
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
    this.frame.classList.toggle("bare", state.ui === "0");
    this.frame.classList.toggle("min", state.ui === "min");
    this.toolbar.update(state, this.panels.name);
    this.legend.update(session, (change) => this.keys.set(change));
    this.placeLegend();
    this.heading.replaceChildren(...headingOf(session, (index) => this.openScene(index)));
    const partial = session.drawn.filter((s) => s.share < 1).map((s) => `${percent(s.share)} computed`);
    const line = [...(partial.length && !session.progress ? [partial.join(", ")] : []), footLine(session)].join(" · ");
    this.foot.replaceChildren(h("button", { type: "button", onclick: () => this.panels.toggle("info"), title: line }, icon("info"), h("span", {}, line)));
    this.words.textContent = inWords(session);
    this.stageElement.setAttribute("aria-label", `${session.scene.title || "Loss landscape"}. ${inWords(session)}`);
    const noWebgl = this.fallback ? ["This browser has no WebGL here, so the landscape is shown as a flat map."] : [];
    this.banner.say([...noWebgl, ...session.document.warnings, ...elsewhere(session), ...differences(session), ...lacking(session)].join(" "));
  }

  /** Views side by side fill the picture, and a phone has no room on it; the legend then stands below. */
  private placeLegend(): void {
    const below = ((this.state.mode === "side" && this.session.drawn.length > 1) || this.stageElement.clientWidth < 620) && this.state.ui !== "0";
    const { element } = this.legend;
    element.classList.toggle("strip", below);
    if (below === (element.parentElement === this.frame)) return;
    if (below) this.stageElement.after(element);
    else this.heading.after(element);
  }

  // -- drawing -----------------------------------------------------------------------------------------------

  private tick(now: number): void {
    this.pending = 0;
    if (this.disposed) return;
    const moving = this.motion.advance(now);
    const { clientWidth: width, clientHeight: height } = this.stageElement;
    if (!width || !height) return;
    Object.assign(this.session, { width, height, head: this.heading.offsetTop + this.heading.offsetHeight });
    this.placeLegend();
    const level = this.quality.frame(now, moving || this.hands.grabbed !== null || this.motion.changedRecently(now));
    if (this.dirty || moving) this.draw((devicePixelRatio || 1) * level.ratio, level.stride);
    this.dirty = moving;
    if (moving) this.invalidate();
    else if (level.ratio < 1 || level.stride > 1 || this.quality.settlesIn !== null) {
      clearTimeout(this.resting);
      this.resting = window.setTimeout(() => this.invalidate(), 240);
    }
  }

  private draw(ratio: number, stride: number): void {
    if (this.frozen) this.thaw();
    const { session, drawing } = this;
    const { width, height, stage, state } = session;
    this.drawnFrames++;
    const drawn = session.drawn;
    if (stage && drawn.length) {
      occupy(this);
      stage.size(width, height, ratio);
      stage.update(state, drawn, session.morph, session.step);
      stage.setHover(session.hovered);
      stage.draw(state, session.views(), stride, wallHeights(session).map((w) => w.z), height);
    }
    const context = fitCanvas(drawing, width, height);
    if (this.fallback && drawn.length) this.fallback.draw(width, height);
    else paint(session, context);
    const inset = state.map === "inset" ? session.views().find((v) => v.kind === "map") : undefined;
    this.legend.element.style.maxHeight = `${Math.max(80, height - (inset ? inset.rect.y + inset.rect.height + 30 : session.head + 20) - 14)}px`;
    this.cards.update();
    this.lines.update();
    this.profile.update();
  }
}
