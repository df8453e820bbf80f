// SVG export of the contour pane: colors as an image, contour lines and paths as vectors.
import { notes } from "../chrome/about";
import { captionLines, metadataJson } from "../chrome/caption";
import { contourIntervals, contourLevels, contourSegments } from "../math/contour";
import { normalize, transform } from "../math/scale";
import { formatTick, linearTicks, niceStep } from "../math/ticks";
import { hillshade } from "../plots/fallbackMap";
import { indexAtStep } from "../sceneModel";
import type { Session } from "../session";

const SIDE_PX = 480;

export function contourSvg(session: Session): string {
  const surface = session.active;
  if (!surface) return `<svg xmlns="http://www.w3.org/2000/svg"/>`;
  const { state } = session;
  const scale = session.sceneModel.scale(session.drawn, state);
  const morph = state.log ? 1 : 0;
  const values = surface.frameValues(state.quantity, Math.round(state.frame));
  const [a, b] = [surface.alpha, surface.beta];
  const world = session.renderer?.world;
  const [w, h] = world ? [SIDE_PX * world.halfX, SIDE_PX * world.halfY] : [SIDE_PX, SIDE_PX];
  const x = (v: number) => 60 + ((v - a[0]) / (a[a.length - 1] - a[0])) * w;
  const y = (v: number) => 44 + h - ((v - b[0]) / (b[b.length - 1] - b[0])) * h;
  const at = (axis: ArrayLike<number>, index: number) => {
    const k = Math.min(Math.floor(index), axis.length - 2);
    return axis[k] + (axis[k + 1] - axis[k]) * (index - k);
  };
  const canvas = document.createElement("canvas");
  canvas.width = surface.na;
  canvas.height = surface.nb;
  canvas.getContext("2d")!.putImageData(hillshade(values, surface.na, surface.nb, (v) => normalize(scale, v, morph), session.rgb), 0, 0);
  const lines = contourLevels(scale, state.log, contourIntervals(scale, state.interval)).map((level) => {
    const d = contourSegments(values, surface.na, surface.nb, level, (v) => (state.log ? transform(scale, v) : v))
      .map(([i0, j0, i1, j1]) => `M${round2(x(at(a, i0)))} ${round2(y(at(b, j0)))}L${round2(x(at(a, i1)))} ${round2(y(at(b, j1)))}`)
      .join("");
    return d && `<path d="${d}"/>`;
  });
  const paths = session.sceneModel
    .paths(state)
    .filter(({ path }) => !state.hiddenPaths.includes(path.name) && session.sceneModel.showsPath(surface, path))
    .map(({ path: p, color }) => {
      const until = Number.isFinite(session.step) ? indexAtStep(p, session.step) : Infinity;
      const d = Array.from(p.alpha.data as ArrayLike<number>, (v, m) =>
        m <= until && !Number.isNaN(v) ? `${m ? "L" : "M"}${round2(x(v))} ${round2(y(p.beta.data[m]))}` : "",
      ).join("");
      return `<path d="${d}" stroke="#fff" stroke-width="4.5"/><path d="${d}" stroke="${color}" stroke-width="2.2"/>`;
    });
  const ticks = [
    ...axisTicks(a).map(([v, label]) => `<text x="${round2(x(v))}" y="${round2(44 + h + 18)}" text-anchor="middle">${label}</text>`),
    ...axisTicks(b).map(([v, label]) => `<text x="52" y="${round2(y(v) + 4)}" text-anchor="end">${label}</text>`),
  ];
  const [alphaLabel, betaLabel] = [surface.data.alpha_label || "α", surface.data.beta_label || "β"];
  const betaTransform = betaLabel.length > 3 ? ` transform="rotate(-90 16 ${round2(44 + h / 2)})"` : "";
  const box = `viewBox="0 0 ${round2(w + 90)} ${round2(h + 122)}"`;
  const [width, height] = [round2(w), round2(h)];
  return `<svg xmlns="http://www.w3.org/2000/svg" ${box} font-family="DejaVu Sans, sans-serif" font-size="12" fill="#171c2b">
<metadata xmlns:dc="http://purl.org/dc/elements/1.1/"><dc:description>${escapeXml(notes(session).join("\n"))}</dc:description>
<dc:source>${escapeXml(metadataJson(session))}</dc:source></metadata>
<text x="60" y="26" font-size="15" font-weight="bold">${escapeXml(session.scene.title)}</text>
<image x="60" y="44" width="${width}" height="${height}" preserveAspectRatio="none" href="${canvas.toDataURL("image/png")}"/>
<g fill="none" stroke="#0b1020" stroke-opacity=".5" stroke-width=".7">${lines.join("")}</g>
<svg x="60" y="44" width="${width}" height="${height}" viewBox="60 44 ${width} ${height}">
<g fill="none" stroke-linejoin="round">${paths.join("")}</g></svg>
<rect x="60" y="44" width="${width}" height="${height}" fill="none" stroke="#171c2b" stroke-opacity=".4"/>
${ticks.join("")}
<text x="${round2(60 + w / 2)}" y="${round2(44 + h + 40)}" text-anchor="middle" font-size="14">${escapeXml(alphaLabel)}</text>
<text x="16" y="${round2(44 + h / 2)}" text-anchor="middle" font-size="14"${betaTransform}>${escapeXml(betaLabel)}</text>
${captionLines(session).map((line, k) => `<text x="60" y="${round2(h + 100 + 12 * k)}" font-size="9" fill="#5a6377">${escapeXml(line.slice(0, 150))}</text>`).join("\n")}
</svg>`;
}

/** Ticks of an axis and their labels. */
function axisTicks(axis: ArrayLike<number>): [number, string][] {
  const last = axis[axis.length - 1];
  return linearTicks(axis[0], last, 5).map((value) => [value, formatTick(value, niceStep(last - axis[0], 5))]);
}

const round2 = (v: number) => String(Math.round(v * 100) / 100);
const escapeXml = (text: string) => text.replace(/[<>&]/g, (c) => ({ "<": "&lt;", ">": "&gt;", "&": "&amp;" })[c]!);
