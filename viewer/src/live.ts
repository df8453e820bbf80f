// Client of a live evaluation: a full state first, then patches of finished cells; it reconnects and starts from a full state.
import type { RunStatus } from "./chrome/runControls";
import { decode, fromBase64, texToTextIn } from "./data/decode";
import type { Document, Header, SurfaceData } from "./data/types";
import { CENTERED_MESSAGE_STYLE } from "./dom/elements";
import type { ViewState } from "./state";
import { Viewer, type Options } from "./viewer";

interface ServerMessage {
  type: "scene" | "progress" | "patches" | "end";
  header?: Header;
  words?: string;
  finished?: boolean;
  notes?: string[][];
  steering?: RunStatus | null;
  parts?: string[];
}

/** Applies messages from a socket or a notebook to a viewer; the view survives new states. */
export class LiveClient {
  viewer: Viewer | null = null;
  private pendingHeader: Header | null = null;
  private queue: Promise<void> = Promise.resolve();
  private status = "Connecting…";
  private runStatus: RunStatus | null = null;

  constructor(private readonly element: HTMLElement, private readonly options: Options) {}

  /** Queue a message and its binary parts; messages are handled one after the other. */
  enqueue(message: ServerMessage, parts: ArrayBuffer[] = []): void {
    this.queue = this.queue
      .then(() => this.handle(message, parts))
      .catch((error: unknown) => this.showStatus(`The page could not read what was sent: ${String(error)}`, true));
  }

  /** Handle a binary message: the data of the scene announced before it, or a patch. */
  receiveBinary(data: ArrayBuffer): void {
    const header = this.pendingHeader;
    this.pendingHeader = null;
    if (header) this.enqueue({ type: "scene", header }, [data]);
    else this.enqueue({ type: "patches" }, [data]);
  }

  expectBlob(header: Header): void { this.pendingHeader = header; }

  showStatus(text: string, lost = false): void {
    this.status = text;
    if (this.viewer) this.viewer.showProgress(text, lost, lost ? null : this.runStatus);
    else showMessage(this.element, text);
  }

  private async handle(message: ServerMessage, parts: ArrayBuffer[]): Promise<void> {
    if (message.type === "scene" && message.header) await this.openDocument(message.header, new Uint8Array(parts[0]));
    else if (message.type === "patches") { for (const part of parts) this.applyPatch(part); this.viewer?.refresh(); }
    else if (message.type === "progress") {
      const ended = message.finished && this.status;
      const news = this.updateNotes(message.notes ?? []);
      this.runStatus = message.finished ? null : (message.steering ?? null);
      this.showStatus(message.finished ? "" : message.words ?? "");
      if (ended || news) this.viewer?.refresh();
    }
  }

  private async openDocument(header: Header, blob: Uint8Array): Promise<void> {
    const document = await decode(header, blob);
    const state: Partial<ViewState> = this.viewer ? { ...this.viewer.state } : { ...this.options.state };
    // Visibility of surfaces added in between follows the new scene.
    if (this.viewer && names(this.viewer.session.document) !== names(document)) delete state.hidden;
    // Whoever looks at the last step goes on looking at the last one, as of a training that runs.
    if (this.viewer && this.viewer.state.frame >= this.viewer.session.timeline.length - 1) delete state.frame;
    this.viewer?.dispose();
    this.viewer = new Viewer(this.element, document, { ...this.options, state, progress: this.status });
    this.viewer.showProgress(this.status, false, this.runStatus);
    (this.element as unknown as { viewer: Viewer }).viewer = this.viewer;
  }

  /** Surfaces that messages refer to: those of the first scene, whichever is shown. */
  private get surfaces(): SurfaceData[] { return this.viewer?.session.document.scenes[0].surfaces ?? []; }

  /** Replace the notes of each surface; returns whether any changed. */
  private updateNotes(message: string[][]): boolean {
    const { surfaces } = this;
    const news = message.slice(0, surfaces.length).map((notes) => texToTextIn(notes) as string[]);
    if (news.every((notes, k) => notes.join() === surfaces[k].notes.join())) return false;
    news.forEach((notes, k) => { surfaces[k].notes = notes; });
    return true;
  }

  /** Little-endian: surface u16, quantity u16, count u32, cells u32 x count, values f32 x count. */
  private applyPatch(data: ArrayBuffer): void {
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

/** Start the live page; token and host come from its own address. */
export function live(element: HTMLElement, state: Partial<ViewState>): LiveClient {
  const token = encodeURIComponent(new URLSearchParams(location.search).get("token") ?? "");
  let socket: WebSocket | null = null;
  const sendRequest = (request: object) => {
    const text = JSON.stringify(request);
    if (socket?.readyState === WebSocket.OPEN) socket.send(text);
    else void fetch(`/ask?token=${token}`, { method: "POST", body: text });
  };
  const client = new LiveClient(element, { address: true, wheel: true, state, sendRequest });
  let [pause, failures, ended] = [400, 0, false];
  const receive = (message: ServerMessage) => {
    if (message.type === "end") { ended = true; client.showStatus(message.words ?? "", true); return; }
    if (message.type === "scene" && !message.parts) client.expectBlob(message.header!);
    else client.enqueue(message, (message.parts ?? []).map((part) => fromBase64(part).buffer as ArrayBuffer));
  };
  const reconnect = () => {
    if (ended) return;
    client.showStatus("Connection lost; trying again…", true);
    setTimeout(failures >= 2 ? events : connect, pause);
    pause = Math.min(pause * 1.6, 5000);
  };
  const connect = () => {
    const connection = (socket = new WebSocket(`${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/live?token=${token}`));
    connection.binaryType = "arraybuffer";
    connection.onopen = () => { pause = 400; failures = 0; };
    connection.onmessage = (event: MessageEvent<string | ArrayBuffer>) =>
      typeof event.data === "string" ? receive(JSON.parse(event.data) as ServerMessage) : client.receiveBinary(event.data);
    connection.onclose = (event) => {
      if (event.code === 4403 || event.code === 1008)
        return client.showStatus("The server does not accept this page; open the address it printed.", true);
      failures++;
      reconnect();
    };
  };
  // Some proxies let no WebSocket through; events then come one way over plain HTTP, and requests are posted.
  const events = () => {
    socket = null;
    const source = new EventSource(`/events?token=${token}`);
    source.onopen = () => { pause = 400; };
    source.onmessage = (event: MessageEvent<string>) => receive(JSON.parse(event.data) as ServerMessage);
    source.onerror = () => {
      source.close();
      failures = 0;
      reconnect();
    };
  };
  client.showStatus("Connecting…");
  connect();
  return client;
}

function showMessage(element: HTMLElement, text: string): void {
  const root = element.shadowRoot ?? element.attachShadow({ mode: "open" });
  const box = document.createElement("div");
  box.setAttribute("role", "status");
  box.style.cssText = CENTERED_MESSAGE_STYLE;
  box.textContent = text;
  root.replaceChildren(box);
}

interface Model { get(name: string): unknown; on(name: string, handler: () => void): void; off(name: string, handler: () => void): void }

/** Render the anywidget view. The model holds the scene and all cells since, so a view that opens late, or again, misses nothing. */
export function render({ model, el }: { model: Model; el: HTMLElement }): () => void {
  const box = document.createElement("div");
  box.style.cssText = `height:${Number(model.get("height"))}px;border-radius:8px;overflow:hidden`;
  el.append(box);
  const client = new LiveClient(box, {});
  let shown: unknown = null;
  const read = () => {
    const [scene, header] = [model.get("scene"), String(model.get("header"))];
    if (scene !== shown && header)
      client.enqueue({ type: "scene", header: JSON.parse(header) as Header }, [toArrayBuffer(model.get("blob") as DataView)]);
    shown = scene;
    client.enqueue({ type: "patches" }, (model.get("patches") as DataView[]).map(toArrayBuffer));
    client.enqueue({
      type: "progress",
      words: String(model.get("words")),
      finished: model.get("finished") === true,
      notes: model.get("notes") as string[][],
    });
  };
  read();
  model.on("change:version", read);
  return () => { model.off("change:version", read); client.viewer?.dispose(); };
}

function toArrayBuffer(view: DataView | ArrayBuffer): ArrayBuffer {
  return view instanceof ArrayBuffer ? view : view.buffer.slice(view.byteOffset, view.byteOffset + view.byteLength) as ArrayBuffer;
}
