// Decision regions of a classifier with its data points, at the frame of the timeline.
import type { AreasData } from "../data/types";
import { h } from "../dom/elements";
import type { Session } from "../session";

const CLASS_COLORS: [number, number, number][] = [
  [65, 120, 210],
  [226, 108, 62],
  [58, 157, 110],
  [190, 90, 170],
  [200, 165, 50],
  [90, 90, 110],
  [40, 165, 185],
  [150, 110, 70],
  [120, 80, 200],
  [210, 80, 100],
];

export class DecisionRegionsPane {
  readonly element = h("div", { class: "card areas", hidden: true });
  private readonly canvases: HTMLCanvasElement[] = [];
  private key = "";

  constructor(private readonly session: Session) {}

  update(size: number): void {
    const { scene, state } = this.session;
    const key = `${scene.title}/${Math.round(state.frame)}/${size}/${scene.areas.length}`;
    this.element.hidden = !scene.areas.length;
    if (this.element.hidden || key === this.key) return;
    this.key = key;
    if (this.canvases.length !== scene.areas.length) this.rebuild(scene.areas);
    scene.areas.forEach((areas, k) => drawRegions(this.canvases[k], areas, Math.round(state.frame), size));
  }

  private rebuild(all: AreasData[]): void {
    this.canvases.length = 0;
    this.element.replaceChildren(...all.map((areas) => {
      const canvas = h("canvas", { role: "img", "aria-label": `Decision areas: ${areas.name}` });
      this.canvases.push(canvas);
      return h("div", {}, areas.name, canvas);
    }));
  }
}

function drawRegions(canvas: HTMLCanvasElement, areas: AreasData, frame: number, size: number): void {
  const [nx, ny] = [areas.x.data.length, areas.y.data.length];
  const many = areas.classes.shape.length > 2;
  const offset = many ? Math.min(frame, areas.classes.shape[0] - 1) * nx * ny : 0;
  const image = new ImageData(nx, ny);
  for (let i = 0; i < nx; i++) for (let j = 0; j < ny; j++) {
    const [r, g, b] = CLASS_COLORS[areas.classes.data[offset + i * ny + j] % CLASS_COLORS.length];
    image.data.set([r * 0.45 + 140, g * 0.45 + 140, b * 0.45 + 140, 255], 4 * ((ny - 1 - j) * nx + i));
  }
  const ratio = devicePixelRatio || 1;
  canvas.width = canvas.height = size * ratio;
  canvas.style.width = canvas.style.height = `${size}px`;
  const context = canvas.getContext("2d")!;
  const small = new OffscreenCanvas(nx, ny);
  small.getContext("2d")!.putImageData(image, 0, 0);
  context.imageSmoothingEnabled = nx < size;
  context.drawImage(small, 0, 0, canvas.width, canvas.height);
  drawPoints(context, areas, canvas.width, ratio);
}

function drawPoints(context: CanvasRenderingContext2D, areas: AreasData, size: number, ratio: number): void {
  const [x, y] = [areas.x.data, areas.y.data];
  const n = areas.labels.data.length;
  for (let k = 0; k < n; k++) {
    const px = ((areas.points.data[2 * k] - x[0]) / (x[x.length - 1] - x[0])) * size;
    const py = (1 - (areas.points.data[2 * k + 1] - y[0]) / (y[y.length - 1] - y[0])) * size;
    context.beginPath();
    context.arc(px, py, (n > 400 ? 1.4 : 2.2) * ratio, 0, 7);
    context.fillStyle = `rgb(${CLASS_COLORS[areas.labels.data[k] % CLASS_COLORS.length].join()})`;
    context.fill();
    context.lineWidth = 0.6 * ratio;
    context.strokeStyle = "rgba(255,255,255,.9)";
    context.stroke();
  }
}
