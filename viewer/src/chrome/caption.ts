// Caption of the page: a line and a line of caution, as `lossatlas/viz/scene/captions.py` writes them under figures; and the metadata
// that exported pictures carry, as `lossatlas/viz/metadata/record.py` writes them into figures.
import type { Surface } from "../data/surface";
import type { CautionData, NumArray } from "../data/types";
import { formatNumber } from "../math/ticks";
import type { Session } from "../session";
import { notes } from "./about";

const LINE = 120;
const SEPARATOR = " · ";
const STATED = "CAUTION: ";
const MANY_CELLS = 0.1;
/** Ranks of `Severity` in Python that the page itself gives. */
const [CELLS, COARSE_ESTIMATE, STATED_BY_HAND, DIVERGED] = [1, 3, 5, 6];

/** Lines at the foot of the page, in the size that was asked for. */
export function captionLines(session: Session): string[] {
  if (session.state.caption === "none") return [];
  if (session.state.caption === "full") return [notes(session).join(SEPARATOR)].filter(Boolean);
  const facts = cellFacts(session);
  const worst = cautions(session, facts).reduce<CautionData | null>((best, one) => (best && best.severity >= one.severity ? best : one), null);
  const rest = facts.map(({ text }) => text).filter((text) => text !== worst?.text);
  return [summary(session, rest), worst ? `Caution: ${worst.text}` : ""].filter(Boolean);
}

function shownSurfaces(session: Session): Surface[] {
  return [...session.sceneModel.visible(session.state), ...session.sceneModel.lines];
}

/** Data, plane and what became of the cells; where a line does not hold all, the plane is left out first, the cells last. */
function summary(session: Session, cells: string[]): string {
  if (session.scene.summary) return session.scene.summary;
  const plane = joined(shownSurfaces(session).map((s) => s.data.provenance?.plane ?? ""));
  const data = dataPhrase(session);
  const fitting: string[] = [];
  for (const phrase of [...cells, data, plane])
    if (phrase && [...fitting, phrase].join(SEPARATOR).length <= LINE) fitting.push(phrase);
  const line = [data, plane, ...cells].filter((phrase) => phrase && fitting.includes(phrase)).join(SEPARATOR);
  return line ? line[0].toUpperCase() + line.slice(1) : firstNote(session);
}

function firstNote(session: Session): string {
  return session.scene.notes.find((note) => !note.startsWith(STATED)) ?? "";
}

function dataPhrase(session: Session): string {
  const surfaces = shownSurfaces(session);
  const { quantity } = session.state;
  const loss = joined(surfaces.map((s) => s.data.provenance?.loss ?? ""));
  const data = joined(surfaces.map((s) => s.data.provenance?.data ?? ""));
  if (!data && !surfaces.some((s) => s.data.provenance?.loss)) return "";
  const name = quantity === "loss" ? loss || "loss" : quantity.replaceAll("_", " ");
  const unknown = surfaces.filter((s) => !s.data.provenance?.data).length;
  const share = unknown ? ` (not known of ${unknown} of the ${surfaces.length} surfaces)` : "";
  return data ? `${name} on ${data}${share}` : name;
}

/** The phrase that all surfaces share, or the two that there are; of more, their names tell. */
function joined(phrases: string[]): string {
  const distinct = [...new Set(phrases)].filter(Boolean);
  return distinct.length <= 2 ? distinct.join(" and ") : "";
}

interface CellFact { text: string; share: number }

/** Phrases on the cells of all shown surfaces together, and the share that each concerns. */
function cellFacts(session: Session): CellFact[] {
  const { state } = session;
  const facts: CellFact[] = [];
  const surfaces = shownSurfaces(session);
  const masks = surfaces.map((s) => s.data.sampled ?? s.data.done).filter((mask): mask is NumArray => !!mask);
  const total = masks.reduce((sum, mask) => sum + mask.data.length, 0);
  const computed = masks.reduce((sum, mask) => sum + countOf(mask.data, (value) => !!value), 0);
  const others = surfaces.some((s) => s.data.sampled) ? "interpolated" : "empty";
  if (computed < total) facts.push({ text: `${percent(computed / total)} of cells computed, others ${others}`, share: 0 });
  const values = surfaces.map((s) => s.frameValues(state.quantity, Math.round(state.frame)));
  const cells = values.reduce((sum, one) => sum + one.length, 0);
  const share = (test: (value: number) => boolean) => values.reduce((sum, one) => sum + countOf(one, test), 0) / Math.max(cells, 1);
  const broken = surfaces.reduce((sum, s, k) => sum + countBroken(s, values[k]), 0) / Math.max(cells, 1);
  if (broken) facts.push({ text: `${roughPercent(broken)} of cells NaN or infinite`, share: broken });
  if (state.log) {
    const negative = share((value) => Number.isFinite(value) && value <= 0);
    if (negative) facts.push({ text: `${roughPercent(negative)} of cells ≤ 0, which a log scale cannot show`, share: negative });
  }
  const { clip } = state;
  if (clip !== null) {
    const above = share((value) => value > clip);
    if (above) facts.push({ text: `${roughPercent(above)} of cells clipped above ${formatNumber(clip, 4)}`, share: above });
  }
  return facts;
}

/** Cells that were computed and are not finite. */
function countBroken(surface: Surface, values: ArrayLike<number>): number {
  const done = surface.data.done?.data;
  let count = 0;
  for (let k = 0; k < values.length; k++) if (!Number.isFinite(values[k]) && (!done || done[k])) count++;
  return count;
}

/** One decimal, as `format_percent` in Python. */
function percent(share: number): string {
  return share >= 0.01 || share === 0 ? `${(100 * share).toFixed(1)} %` : roughPercent(share);
}

/** Two digits, as `format_rough_percent` in Python. */
function roughPercent(share: number): string {
  if (share < 1e-4) return "below 0.01 %";
  return `${share >= 0.0995 ? (100 * share).toFixed(0) : String(Number((100 * share).toPrecision(2)))} %`;
}

function countOf(values: ArrayLike<number>, test: (value: number) => boolean): number {
  let count = 0;
  for (let k = 0; k < values.length; k++) if (test(values[k])) count++;
  return count;
}

function cautions(session: Session, facts: CellFact[]): CautionData[] {
  const { scene, sceneModel, state } = session;
  const surfaces = shownSurfaces(session);
  const base = state.quantity.replace(/_standard_error$/, "");
  // Cautions on a standard error matter where it is drawn: outlined, as the band of a line, or itself.
  const errorShown = state.noise || base !== state.quantity;
  const ofSurfaces = surfaces.map((s) => ({
    name: s.label,
    cautions: [...(s.data.cautions ?? []), ...(errorShown || !s.data.beta ? s.data.fields[base]?.cautions ?? [] : [])],
  }));
  const ofPaths = sceneModel
    .paths(state)
    .filter(({ path }) => !state.hiddenPaths.includes(path.name))
    .map(({ path }) => {
      const lost = Array.from(path.alpha.data as ArrayLike<number>).findIndex((value) => !Number.isFinite(value));
      const text = `the weights are not finite from step ${Number(path.step.data[lost]).toLocaleString("en")} on: the path ends there`;
      return { name: path.label || path.name, cautions: [...(path.cautions ?? []), ...(lost < 0 ? [] : [{ text, severity: DIVERGED }])] };
    });
  const stated = scene.notes.filter((note) => note.startsWith(STATED)).map((note) => note.slice(STATED.length));
  const elsewhere = state.log && surfaces.some((s) => s.data.provenance?.estimated_on === "linear");
  return [
    ...stated.map((text) => ({ text, severity: STATED_BY_HAND })),
    ...owned(ofSurfaces),
    ...owned(ofPaths),
    ...(elsewhere ? [{ text: OTHER_SCALE, severity: COARSE_ESTIMATE }] : []),
    ...facts.filter(({ share }) => share >= MANY_CELLS).map(({ text }) => ({ text, severity: CELLS })),
  ];
}

const OTHER_SCALE = "cells were estimated on a linear scale: on this log scale low values may be far off";

/** What belongs to one of several surfaces or paths names its owner. */
function owned(owners: { name: string; cautions: CautionData[] }[]): CautionData[] {
  const everywhere = (text: string) => owners.every((owner) => owner.cautions.some((one) => one.text === text));
  return owners.flatMap(({ name, cautions }) =>
    cautions.map(({ text, severity }) => ({ text: everywhere(text) ? text : `${name}: ${text}`, severity })),
  );
}

/** Title, all notes and the sources of what is shown, as one line of ASCII. */
export function metadataJson(session: Session): string {
  const { scene, document } = session;
  const sources = shownSurfaces(session).map((s) => scene.sources?.[s.name]).filter((source) => !!source);
  const title = [scene.title, scene.subtitle].filter(Boolean).join(SEPARATOR);
  const text = JSON.stringify({ format: "lossatlas-figure", title, caption: notes(session), sources, version: document.package ?? "" });
  return text.replace(/[\u007f-\uffff]/g, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, "0")}`);
}
