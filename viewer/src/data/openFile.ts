// Readers of dropped files: an exported page (parsed, never run), a CSV grid, or a PNG that carries a view.
import { decode, fromBase64, PayloadError } from "./decode";
import type { Document, Header, SceneData, SurfaceData } from "./types";

export type OpenedFile = { kind: "document"; document: Document } | { kind: "view"; hash: string };

/** Read a dropped file; throws PayloadError with a message for the reader. */
export async function openFile(name: string, bytes: Uint8Array): Promise<OpenedFile> {
  if (/\.png$/i.test(name)) return { kind: "view", hash: viewInPng(bytes) };
  const text = new TextDecoder().decode(bytes);
  if (/\.csv$/i.test(name)) return { kind: "document", document: documentOf(surfaceFromCsv(text)) };
  if (/\.html?$/i.test(name)) return { kind: "document", document: await documentInPage(text) };
  throw new PayloadError(
    `${name} is none of the files this page reads: a Lossatlas page (.html), a picture saved from one (.png) or a grid of one (.csv).`,
  );
}

/** The data of an exported page. Its scripts are text here: only the two data elements are looked for. */
export async function documentInPage(text: string): Promise<Document> {
  const part = (id: string) => {
    const match = new RegExp(`<script type="application/[a-z-]+" id="${id}">([^<]*)</script>`).exec(text);
    if (!match) throw new PayloadError("This page holds no Lossatlas data.");
    return match[1];
  };
  return decode(JSON.parse(part("lossatlas-header")) as Header, fromBase64(part("lossatlas-data")));
}

/** The view that a picture carries in a tEXt chunk. */
export function viewInPng(bytes: Uint8Array): string {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (let at = 8; at + 12 <= bytes.length; ) {
    const length = view.getUint32(at);
    const kind = String.fromCharCode(...bytes.subarray(at + 4, at + 8));
    const body = bytes.subarray(at + 8, Math.min(at + 8 + length, bytes.length));
    const text = kind === "tEXt" ? new TextDecoder().decode(body) : "";
    if (text.startsWith("lossatlas-view\0")) return text.slice(15);
    at += 12 + length;
  }
  throw new PayloadError("This picture was not saved from a Lossatlas page: it carries no view.");
}

/** A grid as `grid CSV` writes it: alpha, beta, quantities, and whether each was computed. */
export function surfaceFromCsv(text: string): SurfaceData {
  const [head = "", ...lines] = text.trim().split(/\r?\n/);
  const names = head.split(",").map((name) => name.trim());
  if (names[0] !== "alpha" || names[1] !== "beta") throw new PayloadError("This table has no columns alpha, beta and values.");
  const rows = lines.map((line) => line.split(",").map(parseNumber));
  const [alpha, beta] = [0, 1].map((k) => Float64Array.from(new Set(rows.map((row) => row[k]))).sort());
  const [na, nb] = [alpha.length, beta.length];
  if (na < 2 || nb < 2) throw new PayloadError("This table is no grid over alpha and beta.");
  const indexOf = (axis: Float64Array) => new Map(Array.from(axis, (v, k) => [v, k]));
  const [atA, atB] = [indexOf(alpha), indexOf(beta)];
  const quantities = names.slice(2).filter((name) => name !== "computed");
  const columns = quantities.map(() => new Float32Array(na * nb).fill(NaN));
  const done = new Uint8Array(na * nb);
  for (const row of rows) {
    const k = atA.get(row[0])! * nb + atB.get(row[1])!;
    quantities.forEach((name, q) => { columns[q][k] = row[names.indexOf(name)]; });
    done[k] = names.includes("computed") && !row[names.indexOf("computed")] ? 0 : 1;
  }
  const shape = [na, nb];
  return {
    name: "grid",
    label: "grid",
    alpha: { data: alpha, shape: [na] },
    beta: { data: beta, shape: [nb] },
    alpha_label: "α",
    beta_label: "β",
    origin: null,
    notes: ["read from a table; nothing is known about how it was made"],
    done: { data: done, shape },
    fields: Object.fromEntries(
      quantities.map((name, q) => [name, { values: { data: columns[q], shape }, label: name, units: "", standard_error: null }]),
    ),
  };
}

function parseNumber(text: string): number {
  const plain = text.trim().toLowerCase();
  return plain === "inf" ? Infinity : plain === "-inf" ? -Infinity : plain === "" || plain === "nan" ? NaN : Number(plain);
}

function documentOf(surface: SurfaceData): Document {
  const scene: SceneData = {
    panes: [],
    surfaces: [surface],
    paths: [],
    arrows: [],
    curves: [],
    areas: [],
    colors: [],
    timeline: null,
    title: "",
    subtitle: "",
    notes: [],
    meta: {},
  };
  return { scenes: [scene], colormaps: {}, theme: null, view: {}, warnings: [] };
}
