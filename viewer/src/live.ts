// Live: a full state first, then patches of finished cells; after a lost connection it starts again with the full state.
import type { Steering } from "./chrome/runControls";
import { decode, fromBase64, plainly } from "./data/decode";
import type { Document, Header, SurfaceData } from "./data/types";
import type { ViewState } from "./state";
import { Viewer, type Options } from "./viewer";

interface Told { type: "scene" | "progress" | "patches" | "end"; header?: Header; words?: string; finished?: boolean; notes?: string[][]; steering?: Steering | null; parts?: string[] }

/** Takes messages from a socket or a notebook, whichever; keeps the reader's view over new states. */
export class Follower {
  viewer: Viewer | null = null;
  private waiting: Header | null = null;
  private work: Promise<void> = Promise.resolve();
  private words = "Connecting…";
  private steering: Steering | null = null;

  constructor(private readonly element: HTMLElement, private readonly options: Options) {}

  /** A message and the binary parts that came with it; handled one after the other. */
  take(told: Told, parts: ArrayBuffer[] = []): void {
    this.work = this.work.then(() => this.handle(told, parts)).catch((error: unknown) => this.say(`The page could not read what was sent: ${String(error)}`, true));
  }

  /** A binary message: the data of the scene announced before it, or a patch. */
  binary(data: ArrayBuffer): void {
    const header = this.waiting;
    this.waiting = null;
    if (header) this.take({ type: "scene", header }, [data]);
    else this.take({ type: "patches" }, [data]);
  }

  announce(header: Header): void { this.waiting = header; }

  say(words: string, lost = false): void {
    this.words = words;
    if (this.viewer) this.viewer.say(words, lost, lost ? null : this.steering);
    else notice(this.element, words);
  }

  private async handle(told: Told, parts: ArrayBuffer[]): Promise<void> {
    if (told.type === "scene" && told.header) await this.open(told.header, new Uint8Array(parts[0]));
    else if (told.type === "patches") { for (const part of parts) this.patch(part); this.viewer?.refresh(); }
    else if (told.type === "progress") {
      const ended = told.finished && this.words;
      const news = this.note(told.notes ?? []);
      this.steering = told.finished ? null : (told.steering ?? null);
      this.say(told.finished ? "" : told.words ?? "");
      if (ended || news) this.viewer?.refresh();
    }
  }

  private async open(header: Header, blob: Uint8Array): Promise<void> {
    const document = await decode(header, blob);
    const kept: Partial<ViewState> = this.viewer ? { ...this.viewer.state } : { ...this.options.state };
    // Surfaces that came in between are shown or hidden as the scene says.
    if (this.viewer && names(this.viewer.session.document) !== names(document)) delete kept.hidden;
    this.viewer?.dispose();
    this.viewer = new Viewer(this.element, document, { ...this.options, state: kept, progress: this.words });
    this.viewer.say(this.words, false, this.steering);
    (this.element as unknown as { viewer: Viewer }).viewer = this.viewer;
  }

  /** Surfaces that messages are about are those of the first scene, whichever is shown. */
  private get surfaces(): SurfaceData[] { return this.viewer?.session.document.scenes[0].surfaces ?? []; }

  /** What is said of each surface; whether that is new. */
  private note(told: string[][]): boolean {
    const { surfaces } = this;
    const news = told.slice(0, surfaces.length).map((notes) => plainly(notes) as string[]);
    if (news.every((notes, k) => notes.join() === surfaces[k].notes.join())) return false;
    news.forEach((notes, k) => { surfaces[k].notes = notes; });
    return true;
  }

  /** Little-endian: surface u16, quantity u16, count u32, cells u32 x count, values f32 x count. */
  private patch(data: ArrayBuffer): void {
    const view = new DataView(data);
    const [surfaceIndex, quantityIndex, count] = [view.getUint16(0, true), view.getUint16(2, true), view.getUint32(4, true)];
    const surface = this.surfaces[surfaceIndex];
    if (!surface) return;
    const values = Object.values(surface.fields)[quantityIndex].values.data as Float32Array;
    const done = surface.done?.data as Uint8Array | undefined;
    for (let k = 0; k < count; k++) {
      const cell = view.getUint32(8 + 4 * k, true);
      values[cell] = view.getFloat32(8 + 4 * (count + k), true);
      if (done) done[cell] = 1;
    }
  }
}

function names(document: Document): string {
  return document.scenes.flatMap((scene) => scene.surfaces.map((s) => s.name)).join("\n");
}

/** The live page: token and place come from its own address. */
export function live(element: HTMLElement, state: Partial<ViewState>): Follower {
  const token = encodeURIComponent(new URLSearchParams(location.search).get("token") ?? "");
  let socket: WebSocket | null = null;
  const ask = (wish: object) => {
    const words = JSON.stringify(wish);
    if (socket?.readyState === WebSocket.OPEN) socket.send(words);
    else void fetch(`/ask?token=${token}`, { method: "POST", body: words });
  };
  const follower = new Follower(element, { address: true, wheel: true, state, ask });
  let [pause, failures, ended] = [400, 0, false];
  const hear = (told: Told) => {
    if (told.type === "end") { ended = true; follower.say(told.words ?? "", true); return; }
    if (told.type === "scene" && !told.parts) follower.announce(told.header!);
    else follower.take(told, (told.parts ?? []).map((part) => fromBase64(part).buffer as ArrayBuffer));
  };
  const again = () => {
    if (ended) return;
    follower.say("Connection lost; trying again…", true);
    setTimeout(failures >= 2 ? events : connect, pause);
    pause = Math.min(pause * 1.6, 5000);
  };
  const connect = () => {
    const mine = (socket = new WebSocket(`${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/live?token=${token}`));
    mine.binaryType = "arraybuffer";
    mine.onopen = () => { pause = 400; failures = 0; };
    mine.onmessage = (event: MessageEvent<string | ArrayBuffer>) => (typeof event.data === "string" ? hear(JSON.parse(event.data) as Told) : follower.binary(event.data));
    mine.onclose = (event) => {
      if (event.code === 4403 || event.code === 1008) return follower.say("The server does not accept this page; open the address it printed.", true);
      failures++;
      again();
    };
  };
  // Some proxies let no WebSocket through; events come one way over plain HTTP, and wishes are posted.
  const events = () => {
    socket = null;
    const source = new EventSource(`/events?token=${token}`);
    source.onopen = () => { pause = 400; };
    source.onmessage = (event: MessageEvent<string>) => hear(JSON.parse(event.data) as Told);
    source.onerror = () => {
      source.close();
      failures = 0;
      again();
    };
  };
  follower.say("Connecting…");
  connect();
  return follower;
}

function notice(element: HTMLElement, words: string): void {
  const root = element.shadowRoot ?? element.attachShadow({ mode: "open" });
  const box = document.createElement("div");
  box.setAttribute("role", "status");
  box.style.cssText = "display:grid;place-items:center;height:100%;min-height:200px;font:15px/1.5 system-ui,sans-serif;color:#5a6377;text-align:center;padding:24px";
  box.textContent = words;
  root.replaceChildren(box);
}

interface Model { get(name: string): unknown; on(name: string, handler: () => void): void; off(name: string, handler: () => void): void }

/** anywidget's view. The model holds the scene and all cells since, so a view that opens late, or again, misses nothing. */
export function render({ model, el }: { model: Model; el: HTMLElement }): () => void {
  const box = document.createElement("div");
  box.style.cssText = `height:${Number(model.get("height"))}px;border-radius:8px;overflow:hidden`;
  el.append(box);
  const follower = new Follower(box, {});
  let shown: unknown = null;
  const read = () => {
    const [scene, header] = [model.get("scene"), String(model.get("header"))];
    if (scene !== shown && header) follower.take({ type: "scene", header: JSON.parse(header) as Header }, [copy(model.get("blob") as DataView)]);
    shown = scene;
    follower.take({ type: "patches" }, (model.get("patches") as DataView[]).map(copy));
    follower.take({ type: "progress", words: String(model.get("words")), finished: model.get("finished") === true, notes: model.get("notes") as string[][] });
  };
  read();
  model.on("change:version", read);
  return () => { model.off("change:version", read); follower.viewer?.dispose(); };
}

function copy(view: DataView | ArrayBuffer): ArrayBuffer {
  return view instanceof ArrayBuffer ? view : view.buffer.slice(view.byteOffset, view.byteOffset + view.byteLength) as ArrayBuffer;
}
