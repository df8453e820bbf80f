// Types of the payload: the scene's dataclasses as JSON (src/lossatlas/viz/scene/model.py is the contract).

export interface BlockRef { block: number }
export interface Block {
  codec: "u16" | "f32" | "f64" | "i32" | "u8";
  shape: number[];
  offset: number;
  length: number;
  low?: number;
  high?: number;
  log?: boolean;
}

export interface NumArray { data: ArrayLike<number>; shape: number[] }

export interface FieldData {
  values: NumArray;
  label: string;
  units: string;
  standard_error: NumArray | null;
  /** Ends of the 95 % interval, shown in place of the standard error; NaN where a cell has none. */
  interval?: [NumArray, NumArray] | null;
  doubtful?: NumArray | null;
  /** False where cells estimated from samples are not told apart from the lowest one, which is not marked then. */
  minimum_located?: boolean;
  cautions?: CautionData[];
}
export interface SurfaceData {
  name: string;
  alpha: NumArray;
  beta: NumArray | null;
  fields: Record<string, FieldData>;
  label: string;
  done: NumArray | null;
  alpha_label: string;
  beta_label: string;
  origin: number[] | null;
  origin_label?: string;
  notes: string[];
  provenance?: ProvenanceData;
  /** Cells that were computed, where the others are interpolated between them. */
  sampled?: NumArray | null;
  cautions?: CautionData[];
  /** The models that a plane between models was laid through. */
  models?: { label: string; place: number[] }[];
}
/** What could mislead a reader, and how much it changes a conclusion (`Severity` in Python). */
export interface CautionData { text: string; severity: number }
/** Short phrases for a caption, the archive that the surface came from, and the scale its interpolated cells were estimated for. */
export interface ProvenanceData { loss: string; data: string; plane: string; archive: string; name: string; estimated_on: string }
export type Dash = "solid" | "dashed" | "dashdot" | "dotted";
export interface PathData {
  name: string;
  alpha: NumArray;
  beta: NumArray;
  step: NumArray;
  label: string;
  epoch: NumArray | null;
  loss: NumArray | null;
  accuracy: NumArray | null;
  plane_loss: NumArray | null;
  residual: NumArray | null;
  /** The distance off the plane in units of the beta axis. */
  stem: NumArray | null;
  surface: string | null;
  color: string | null;
  dash: Dash;
  marks: number[];
  notes: string[];
  cautions?: CautionData[];
}
export interface ArrowData { start: [number, number]; end: [number, number]; label: string; color: string | null; frames: number[] | null }
export interface OutlineData { alpha: NumArray; beta: NumArray; label: string; color: string | null }
export interface CurveData {
  name: string;
  x: NumArray;
  y: NumArray;
  label: string;
  color: string | null;
  dash: Dash;
  axis: "left" | "right";
  band: [NumArray, NumArray] | null;
  reveal: boolean;
}
export interface AreasData { name: string; x: NumArray; y: NumArray; classes: NumArray; points: NumArray; labels: NumArray }
export interface CameraData { elevation: number; azimuth: number; zoom: number }
export interface ColorData {
  quantity: string;
  colormap: string;
  scale: "linear" | "log";
  low: number | null;
  high: number | null;
  clip: number | null;
  levels: number;
}
export interface PaneData {
  kind: "contour" | "surface" | "line" | "curves" | "areas" | "histogram" | "text";
  surfaces: string[];
  paths: string[];
  curves: string[];
  areas: string[];
  arrows: boolean;
  title: string;
  quantity: string;
  camera: CameraData;
  color: ColorData | null;
  x_label: string;
  y_label: string;
  y_label_right: string;
  y_scale: "linear" | "log";
  x_scale?: "linear" | "log";
  text: string;
}
export interface TimelineData {
  step: NumArray;
  label: string[];
  cosmetic: NumArray | null;
  milliseconds: number;
  rotation: NumArray | null;
}
export interface SceneData {
  panes: PaneData[];
  surfaces: SurfaceData[];
  paths: PathData[];
  arrows: ArrowData[];
  outlines?: OutlineData[];
  curves: CurveData[];
  areas: AreasData[];
  colors: ColorData[];
  timeline: TimelineData | null;
  title: string;
  subtitle: string;
  notes: string[];
  /** First line of the caption, where the scene brings its own. */
  summary?: string;
  /** Archive, name and hash of each surface. */
  sources?: Record<string, { archive: string; surface: string; sha256: string }>;
  meta: Record<string, unknown>;
}
export interface Header {
  format: string;
  version: number;
  scenes: unknown[];
  blocks: Block[];
  colormaps: Record<string, string>;
  theme: "light" | "dark" | null;
  view: Record<string, unknown>;
  warnings: string[];
  /** Version of the Python package that made the document. */
  package?: string;
}
export interface Document {
  scenes: SceneData[];
  colormaps: Record<string, Uint8Array>;
  theme: "light" | "dark" | null;
  view: Record<string, unknown>;
  warnings: string[];
  /** Version of the Python package that made the document. */
  package?: string;
}
