// Factories of HTML elements: hyperscript, icons, buttons, selects, sliders, downloads.

/** Style of a message that fills an element in which no viewer is. */
export const CENTERED_MESSAGE_STYLE =
  "display:grid;place-items:center;height:100%;min-height:200px;padding:24px;" +
  "font:15px/1.5 system-ui,sans-serif;text-align:center;color:#5a6377";

type Child = Node | string | null | undefined | false;

export function h<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  attributes: Record<string, unknown> = {},
  ...children: Child[]
): HTMLElementTagNameMap[K] {
  const element = document.createElement(tag);
  for (const [key, value] of Object.entries(attributes)) {
    if (value === undefined || value === null || value === false) continue;
    if (key.startsWith("on") && typeof value === "function") element.addEventListener(key.slice(2), value as EventListener);
    else if (key === "class") element.className = String(value);
    else element.setAttribute(key, value === true ? "" : String(value));
  }
  for (const child of children) if (child) element.append(child);
  return element;
}

/** Icons: strokes on a 24 x 24 grid. */
const ICONS: Record<string, string> = {
  play: "M8 5l11 7-11 7z",
  pause: "M8 5v14M16 5v14",
  home: "M4 11l8-7 8 7M6 10v9h12v-9",
  mesh: "M4 7l8-3 8 3-8 3zM4 12l8 3 8-3M4 17l8 3 8-3",
  contours: "M12 4c6 0 9 4 8 9s-5 7-9 6-8-4-7-8 3-7 8-7zM12 9c2 0 4 1 4 4s-2 3-4 3-4-1-4-3 2-4 4-4z",
  log: "M4 20V4M4 20h16M6 18c2-9 6-12 13-13",
  map: "M4 4h16v16H4zM4 14c5-3 6 3 16-3",
  layers: "M12 4l8 4-8 4-8-4zM4 12l8 4 8-4M4 16l8 4 8-4",
  settings: "M4 7h10M18 7h2M4 17h2M10 17h10M16 5v4M8 15v4",
  share: "M12 15V4M8 7l4-4 4 4M5 12v8h14v-8",
  info: "M12 3a9 9 0 100 18 9 9 0 000-18zM12 11v6M12 7.5v.5",
  help: "M12 3a9 9 0 100 18 9 9 0 000-18zM9.5 9.5a2.5 2.5 0 113.5 2.3c-.7.4-1 .9-1 1.7M12 16.5v.5",
  eye: "M2 12s4-7 10-7 10 7 10 7-4 7-10 7S2 12 2 12zM12 9a3 3 0 100 6 3 3 0 000-6z",
  hide: "M4 4l16 16M2 12s4-7 10-7c2 0 4 1 5 2M22 12s-4 7-10 7c-2 0-3-.5-4-1",
  link: "M10 14a4 4 0 005.700l3-3a4 4 0 00-5.700-5.700l-1.500 1.500M14 10a4 4 0 00-5.700 0l-3 3a4 4 0 005.700 5.700l1.500-1.500",
  stop: "M7 7h10v10H7z",
  close: "M6 6l12 12M18 6L6 18",
  theme: "M20 14a8 8 0 01-10-10 8 8 0 1010 10z",
};

export function icon(name: keyof typeof ICONS | string): SVGSVGElement {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("aria-hidden", "true");
  const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
  path.setAttribute("d", ICONS[name] ?? "");
  if (name === "play") path.setAttribute("class", "filled");
  svg.append(path);
  return svg;
}

export function button(name: string, label: string, onClick: () => void, attributes: Record<string, unknown> = {}): HTMLButtonElement {
  const element = h("button", { type: "button", "aria-label": label, title: label, ...attributes, onclick: onClick });
  element.append(name in ICONS ? icon(name) : document.createTextNode(name));
  return element;
}

export function select(label: string, options: [string, string][], value: string, onChange: (value: string) => void): HTMLSelectElement {
  const element = h("select", { "aria-label": label, title: label, onchange: () => onChange(element.value) });
  fillSelect(element, options, value);
  return element;
}

export function fillSelect(element: HTMLSelectElement, options: [string, string][], value: string): void {
  const now = options.map((o) => o.join()).join(";");
  if (element.dataset.options !== now) {
    element.replaceChildren(...options.map(([key, text]) => h("option", { value: key }, text)));
    element.dataset.options = now;
  }
  element.value = value;
}

export function slider(
  label: string,
  low: number,
  high: number,
  step: number,
  value: number,
  onChange: (value: number) => void,
): HTMLInputElement {
  const element = h("input", {
    type: "range",
    min: low,
    max: high,
    step,
    "aria-label": label,
    title: label,
    oninput: () => onChange(Number(element.value)),
  });
  element.value = String(value);
  return element;
}

export function download(name: string, content: Blob | string, type = "text/plain"): void {
  const blob = typeof content === "string" ? new Blob([content], { type }) : content;
  const link = h("a", { href: URL.createObjectURL(blob), download: name });
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(link.href), 4000);
}
