// Light and dark color themes of canvas drawings; the CSS variables of the page have the same names.

export interface Theme {
  name: "light" | "dark";
  background: [string, string];
  text: string;
  soft: string;
  ink: string;
  mesh: string;
  paper: string;
  unknown: string;
  box: string;
  boxOpacity: number;
  halo: string;
  colormap: string;
}

export const LIGHT: Theme = {
  name: "light", background: ["#ffffff", "#e9edf6"], text: "#171c2b", soft: "#5a6377", ink: "#0b1020", mesh: "#0b1020", paper: "#ffffff",
  unknown: "#eef1f7", box: "#98a1b5", boxOpacity: 0.5, halo: "rgba(255,255,255,0.85)", colormap: "atlas",
};
export const DARK: Theme = {
  name: "dark", background: ["#232a3d", "#10141f"], text: "#eef1f8", soft: "#a3acc2", ink: "#05070d", mesh: "#05070d", paper: "#171c2a",
  unknown: "#30384c", box: "#7e89a6", boxOpacity: 0.34, halo: "rgba(12,15,24,0.8)", colormap: "lipari",
};

export function themeOf(choice: "light" | "dark" | "" | null): Theme {
  if (choice) return choice === "dark" ? DARK : LIGHT;
  return typeof matchMedia === "function" && matchMedia("(prefers-color-scheme: dark)").matches ? DARK : LIGHT;
}

export const FONT = '"Inter", system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", "DejaVu Sans", sans-serif';
export const MATH = '"STIX Two Text", "Cambria Math", Georgia, "DejaVu Serif", serif';
