// View state: all settings as plain data; the page's address and Python's `view=` carry what differs from the default.
import { HOME, type Camera } from "./math/camera";

export interface ViewState {
  scene: number;
  camera: Camera;
  frame: number;
  playing: boolean;
  speed: number;
  loop: "all" | "once";
  range: [number, number] | null;
  follow: boolean;
  rotating: boolean;
  quantity: string;
  /** Quantity that colors the surface; "" follows `quantity`. */
  colorBy: string;
  /** "" is the theme's default. */
  colormap: string;
  log: boolean;
  clip: number | null;
  exaggeration: number;
  light: number;
  style: "solid" | "mesh" | "wire";
  contours: boolean;
  interval: number;
  floor: boolean;
  mode: "overlay" | "side" | "difference" | "swipe";
  swipe: number;
  active: string;
  hidden: string[];
  hiddenPaths: string[];
  map: "inset" | "side" | "full" | "off";
  mapView: { zoom: number; x: number; y: number };
  shared: boolean;
  colorRange: [number, number] | null;
  probes: [number, number][];
  /** Outline the cells that are within two standard errors of the lowest one. */
  noise: boolean;
  /** Sizes that can be dragged: shares of the picture for the maps, pixels for the timeline and the cards. */
  insetSize: number;
  split: number;
  barHeight: number;
  cardSize: number;
  theme: "light" | "dark" | "";
  ui: "full" | "min" | "0";
  /** Size of the caption at the foot. */
  caption: "short" | "full" | "none";
}

export const DEFAULTS: ViewState = {
  scene: 0,
  camera: HOME,
  frame: 0,
  playing: false,
  speed: 1,
  loop: "all",
  range: null,
  follow: true,
  rotating: false,
  quantity: "loss",
  colorBy: "",
  colormap: "",
  log: false,
  clip: null,
  exaggeration: 1,
  light: 0,
  style: "solid",
  contours: true,
  interval: 1,
  floor: true,
  mode: "overlay",
  swipe: 0.5,
  active: "",
  hidden: [],
  hiddenPaths: [],
  map: "inset",
  mapView: { zoom: 1, x: 0, y: 0 },
  shared: true,
  colorRange: null,
  probes: [],
  noise: false,
  insetSize: 0.3,
  split: 0.58,
  barHeight: 74,
  cardSize: 150,
  theme: "",
  ui: "full",
  caption: "short",
};

type Listener = (state: ViewState, changed: Set<keyof ViewState>) => void;

export class Store {
  private listeners = new Set<Listener>();
  constructor(public state: ViewState, readonly initial: ViewState = structuredClone(state)) {}

  set(change: Partial<ViewState>): void {
    const changed = new Set<keyof ViewState>();
    for (const key of Object.keys(change) as (keyof ViewState)[]) if (this.state[key] !== change[key]) changed.add(key);
    if (!changed.size) return;
    this.state = { ...this.state, ...change };
    for (const listener of this.listeners) listener(this.state, changed);
  }

  listen(listener: Listener): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }
}

const TRANSIENT_KEYS = new Set<keyof ViewState>(["playing"]);

/** What differs from `base`, as short JSON for an address. */
export function toHash(state: ViewState, base: ViewState): string {
  const changed: Record<string, unknown> = {};
  for (const key of Object.keys(base) as (keyof ViewState)[]) {
    if (TRANSIENT_KEYS.has(key) || JSON.stringify(state[key]) === JSON.stringify(base[key])) continue;
    changed[key] = roundNumbers(state[key]);
  }
  return Object.keys(changed).length ? `#v=${encodeURIComponent(JSON.stringify(changed))}` : "";
}

/** The part of the state an address carries; anything unreadable or of another type is left out. */
export function fromHash(hash: string): Partial<ViewState> {
  const match = /[#&]v=([^&]*)/.exec(hash);
  if (!match) return {};
  try {
    return parseState(JSON.parse(decodeURIComponent(match[1])));
  } catch {
    return {};
  }
}

/** Keep what has the type of the default. */
export function parseState(input: unknown): Partial<ViewState> {
  if (input === null || typeof input !== "object") return {};
  const out: Record<string, unknown> = {};
  for (const [key, value] of Object.entries(input)) {
    if (!(key in DEFAULTS)) continue;
    const standard = DEFAULTS[key as keyof ViewState];
    if (key === "camera" && value && typeof value === "object") out.camera = parseCamera(value as Record<string, unknown>);
    else if (key === "clip") out.clip = typeof value === "number" && Number.isFinite(value) ? value : null;
    else if (standard === null || Array.isArray(standard)) { if (value === null || Array.isArray(value)) out[key] = value ?? standard; }
    else if (typeof value === typeof standard && (typeof value !== "number" || Number.isFinite(value))) out[key] = value;
  }
  return out as Partial<ViewState>;
}

function parseCamera(input: Record<string, unknown>): Camera {
  const out = { ...HOME } as unknown as Record<string, unknown>;
  for (const key of Object.keys(HOME)) if (typeof input[key] === typeof out[key] && !Number.isNaN(input[key])) out[key] = input[key];
  return out as unknown as Camera;
}

function roundNumbers(value: unknown): unknown {
  if (typeof value === "number") return Number(value.toPrecision(7));
  if (Array.isArray(value)) return value.map(roundNumbers);
  if (value && typeof value === "object") return Object.fromEntries(Object.entries(value).map(([k, v]) => [k, roundNumbers(v)]));
  return value;
}
