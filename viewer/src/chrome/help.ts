// Help panel: the table of keyboard shortcuts and mouse gestures.
import { h } from "../dom/elements";

const TABLE: [string, string][] = [
  ["drag", "rotate (left), zoom (middle, wheel), slide (right or Shift)"],
  ["hover, click", "read a value, pin a probe; two probes give the profile between them"],
  ["double-click", "on the surface: center there; beside it: reset"],
  ["0", "reset the view"],
  ["1 2 3 4", "from the top, isometric, front, side"],
  ["arrows", "turn; with a timeline and the bar focused: step"],
  ["+ −", "zoom"],
  ["P", "perspective or orthographic"],
  ["R", "rotate by itself"],
  ["Space", "play, pause"],
  [", .", "one frame back, on (Shift: ten)"],
  ["Home End", "first, last frame"],
  ["[ ]", "begin, end of the loop"],
  ["L", "linear or logarithmic height"],
  ["W", "solid, mesh, wireframe"],
  ["C", "contour lines"],
  ["F", "map on the floor"],
  ["M", "contour pane (drag its corner or the line beside it)"],
  ["N", "outline what samples do not tell apart from the lowest value"],
  ["V", "overlay, side by side, swipe, difference"],
  ["T", "light or dark"],
  ["S E I ?", "settings, export, about, these keys"],
  ["Esc", "close, let go of probes"],
  ["drop", "a file: another page (.html) or grid (.csv) is laid over, a saved picture (.png) brings its view"],
];

export function helpPanel(): HTMLElement {
  return h(
    "div",
    { class: "panel wide", role: "dialog", "aria-label": "Keys" },
    h("h2", {}, "Keys and mouse"),
    h(
      "table",
      {},
      ...TABLE.map(([keys, text]) =>
        h(
          "tr",
          {},
          h(
            "td",
            {},
            ...keys.split(" ").map((k) => (k.length < 7 && !/^[a-z]{5}/.test(k) ? h("kbd", { style: "margin-right:3px" }, k) : `${k} `)),
          ),
          h("td", {}, text),
        ),
      ),
    ),
  );
}

