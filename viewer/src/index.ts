// Entry point of every host: an offline page, a live page, a notebook.
import { decode, fromBase64, PayloadError } from "./data/decode";
import type { Header } from "./data/types";
import { CENTERED_MESSAGE_STYLE } from "./dom/elements";
import { live, render } from "./live";
import { fromHash, parseState, type ViewState } from "./state";
import { Viewer, type Options } from "./viewer";

/** Show a payload in an element; shows an error message instead of a blank element. */
export async function mount(element: HTMLElement, header: Header, blob: Uint8Array, options: Options = {}): Promise<Viewer | null> {
  try {
    const document = await decode(header, blob);
    if (!document.scenes.length) throw new PayloadError("This page holds no scene.");
    const viewer = new Viewer(element, document, options);
    (element as unknown as { viewer: Viewer }).viewer = viewer;
    return viewer;
  } catch (error) {
    showError(element, error);
    return null;
  }
}

/** The page that `export_html` writes: data in two script elements, the picture in #lossatlas. */
export async function start(): Promise<Viewer | null> {
  const element = document.getElementById("lossatlas")!;
  try {
    const header = JSON.parse(elementText("lossatlas-header")) as Header;
    const blob = fromBase64(elementText("lossatlas-data"));
    return await mount(element, header, blob, { address: true, wheel: true, state: fromAddress() });
  } catch (error) {
    showError(element, error);
    return null;
  }
}

/** State from the address: `#v=` and, for embedding, `?ui=0|min|full`. */
export function fromAddress(): Partial<ViewState> {
  const ui = new URLSearchParams(location.search).get("ui");
  return { ...fromHash(location.hash), ...(ui ? parseState({ ui }) : {}) };
}

export function showError(element: HTMLElement, error: unknown): void {
  const root = element.shadowRoot ?? element.attachShadow({ mode: "open" });
  const text =
    error instanceof PayloadError
      ? error.message
      : error instanceof SyntaxError
        ? "The data on this page are damaged (the header is not complete). Copy or export the page again."
        : `The viewer could not start: ${error instanceof Error ? error.message : String(error)}`;
  const box = document.createElement("div");
  box.setAttribute("role", "alert");
  box.style.cssText = CENTERED_MESSAGE_STYLE;
  const inner = document.createElement("div");
  inner.style.maxWidth = "520px";
  const title = document.createElement("b");
  title.textContent = "This landscape cannot be shown.";
  title.style.color = "CanvasText";
  inner.append(title, document.createElement("br"), text);
  box.append(inner);
  root.replaceChildren(box);
}

function elementText(id: string): string {
  const text = document.getElementById(id)?.textContent;
  if (!text) throw new PayloadError("The data on this page are missing. Copy or export the page again.");
  return text;
}

export { Viewer };
export default { mount, start, render, live: (element: HTMLElement) => live(element, fromAddress()) };
