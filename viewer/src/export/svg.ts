// The contour pane as vectors: a picture of the colors, and contour lines and paths as true curves.
import { footLine } from "../chrome/about";
import { contours, contourSteps, levelsFor } from "../math/contour";
import { bend, share } from "../math/scale";
import { formatTick, linearTicks, niceStep } from "../math/ticks";
import { shaded } from "../plots/fallbackMap";
import { indexAtStep } from "../sceneModel";
import type { Session } from "../session";

const SIDE = 480;

export function contourSvg(session: Session): string {
  const surface = session.active;
  if (!surface) return `<svg xmlns="http://www.w3.org/2000/svg"/>`;
  const { state } = session;
  const scale = session.landscape.scale(session.drawn, state);
  const morph = state.log ? 1 : 0;
  const values = surface.raw(state.quantity, Math.round(state.frame));
  const [a, b] = [surface.alpha, surface.beta];
  const world = session.stage?.world;
  const [w, h] = world ? [SIDE * world.halfX, SIDE * world.halfY] : [SIDE, SIDE];
  const x = (v: number) => 60 + ((v - a[0]) / (a[a.length - 1] - a[0])) * w;
  const y = (v: number) => 44 + h - ((v - b[0]) / (b[b.length - 1] - b[0])) * h;
  const at = (axis: ArrayLike<number>, index: number) => { const k = Math.min(Math.floor(index), axis.length - 2); return axis[k] + (axis[k + 1] - axis[k]) * (index - k); };
  const canvas = document.createElement("canvas");
  canvas.width = surface.na;
  canvas.height = surface.nb;
  canvas.getContext("2d")!.putImageData(shaded(values, surface.na, surface.nb, (v) => share(scale, v, morph), session.rgb), 0, 0);
  const lines = levelsFor(scale, state.log, contourSteps(scale, state.interval)).map((level) => {
    const d = contours(values, surface.na, surface.nb, level, (v) => (state.log ? bend(scale, v) : v))
      .map(([i0, j0, i1, j1]) => `M${n(x(at(a, i0)))} ${n(y(at(b, j0)))}L${n(x(at(a, i1)))} ${n(y(at(b, j1)))}`).join("");
    return d && `<path d="${d}"/>`;
  });
  const paths = session.landscape.paths(state).filter(({ path }) => !state.hiddenPaths.includes(path.name) && session.landscape.carries(surface, path)).map(({ path: p, color }) => {
    const until = Number.isFinite(session.step) ? indexAtStep(p, session.step) : Infinity;
    const d = Array.from(p.alpha.data as ArrayLike<number>, (v, m) => (m <= until && !Number.isNaN(v) ? `${m ? "L" : "M"}${n(x(v))} ${n(y(p.beta.data[m]))}` : "")).join("");
    return `<path d="${d}" stroke="#fff" stroke-width="4.5"/><path d="${d}" stroke="${color}" stroke-width="2.2"/>`;
  });
  const ticks = [
    ...linearTicks(a[0], a[a.length - 1], 5).map((v) => `<text x="${n(x(v))}" y="${n(44 + h + 18)}" text-anchor="middle">${formatTick(v, niceStep(a[a.length - 1] - a[0], 5))}</text>`),
    ...linearTicks(b[0], b[b.length - 1], 5).map((v) => `<text x="52" y="${n(y(v) + 4)}" text-anchor="end">${formatTick(v, niceStep(b[b.length - 1] - b[0], 5))}</text>`),
  ];
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${n(w + 90)} ${n(h + 110)}" font-family="DejaVu Sans, sans-serif" font-size="12" fill="#171c2b">
<text x="60" y="26" font-size="15" font-weight="bold">${escape(session.scene.title)}</text>
<image x="60" y="44" width="${n(w)}" height="${n(h)}" preserveAspectRatio="none" href="${canvas.toDataURL("image/png")}"/>
<g fill="none" stroke="#0b1020" stroke-opacity=".5" stroke-width=".7">${lines.join("")}</g>
<svg x="60" y="44" width="${n(w)}" height="${n(h)}" viewBox="60 44 ${n(w)} ${n(h)}"><g fill="none" stroke-linejoin="round">${paths.join("")}</g></svg>
<rect x="60" y="44" width="${n(w)}" height="${n(h)}" fill="none" stroke="#171c2b" stroke-opacity=".4"/>
${ticks.join("")}
<text x="${n(60 + w / 2)}" y="${n(44 + h + 40)}" text-anchor="middle" font-size="14">${escape(surface.data.alpha_label || "α")}</text>
<text x="16" y="${n(44 + h / 2)}" text-anchor="middle" font-size="14"${(surface.data.beta_label || "β").length > 3 ? ` transform="rotate(-90 16 ${n(44 + h / 2)})"` : ""}>${escape(surface.data.beta_label || "β")}</text>
<text x="60" y="${n(h + 104)}" font-size="9" fill="#5a6377">${escape(footLine(session).slice(0, 150))}</text>
</svg>`;
}

const n = (v: number) => String(Math.round(v * 100) / 100);
const escape = (words: string) => words.replace(/[<>&]/g, (c) => ({ "<": "&lt;", ">": "&gt;", "&": "&amp;" })[c]!);
