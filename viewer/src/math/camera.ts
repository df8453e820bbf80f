// Orbit camera: azimuth and elevation in degrees, in matplotlib's convention; rotation, panning, zooming, interpolation.

export interface Camera {
  azimuth: number;
  elevation: number;
  zoom: number;
  x: number;
  y: number;
  z: number;
  ortho: boolean;
}

export const HOME: Camera = { azimuth: -60, elevation: 30, zoom: 0.93, x: 0, y: 0, z: 0.5, ortho: false };
export const DISTANCE = 5.1;
export const FIELD_OF_VIEW = 30;

export const PRESETS: Record<string, Partial<Camera>> = {
  top: { azimuth: -90, elevation: 90, ortho: true },
  isometric: { azimuth: -45, elevation: 35.264, ortho: true },
  front: { azimuth: -90, elevation: 4, ortho: true },
  side: { azimuth: 0, elevation: 4, ortho: true },
};

export type Vector = [number, number, number];

const radians = (degrees: number) => (degrees * Math.PI) / 180;

/** Unit vectors of the view: towards the eye, to the right and upwards on the screen. */
export function viewAxes(camera: Camera): { back: Vector; right: Vector; up: Vector } {
  const [az, el] = [radians(camera.azimuth), radians(camera.elevation)];
  const [ca, sa, ce, se] = [Math.cos(az), Math.sin(az), Math.cos(el), Math.sin(el)];
  return { back: [ce * ca, ce * sa, se], right: [-sa, ca, 0], up: [-se * ca, -se * sa, ce] };
}

export function eyePosition(camera: Camera): Vector {
  const { back } = viewAxes(camera);
  const distance = DISTANCE / camera.zoom;
  return [camera.x + back[0] * distance, camera.y + back[1] * distance, camera.z + back[2] * distance];
}

/** Turn by a drag of `dx`, `dy` pixels. */
export function rotate(camera: Camera, dx: number, dy: number): Camera {
  const elevation = Math.max(-12, Math.min(90, camera.elevation + dy * 0.3));
  return { ...camera, azimuth: wrapDegrees(camera.azimuth - dx * 0.35), elevation };
}

/** Slide so that what was grabbed stays under the pointer; `height` is the view's height in pixels. */
export function pan(camera: Camera, dx: number, dy: number, height: number): Camera {
  const { right, up } = viewAxes(camera);
  const unit = (2 * Math.tan(radians(FIELD_OF_VIEW / 2)) * DISTANCE) / camera.zoom / height;
  const move = (k: 0 | 1 | 2) => (-right[k] * dx + up[k] * dy) * unit;
  return clampTarget({ ...camera, x: camera.x + move(0), y: camera.y + move(1), z: camera.z + move(2) });
}

/** Zoom by a factor, keeping the point under the pointer (offsets from the view's center, in pixels) where it is. */
export function zoomAt(camera: Camera, factor: number, offsetX: number, offsetY: number, height: number): Camera {
  const zoom = Math.max(0.3, Math.min(40, camera.zoom * factor));
  const before = pan({ ...camera }, -offsetX, -offsetY, height);
  const after = pan({ ...before, zoom }, offsetX, offsetY, height);
  return clampTarget({ ...after, zoom });
}

function clampTarget(camera: Camera): Camera {
  const clamp = (v: number, r: number) => Math.max(-r, Math.min(r, v));
  return { ...camera, x: clamp(camera.x, 2.5), y: clamp(camera.y, 2.5), z: clamp(camera.z, 3) };
}

function wrapDegrees(degrees: number): number {
  return ((((degrees + 180) % 360) + 360) % 360) - 180;
}

/** Between two cameras, the short way round; exact at both ends. */
export function interpolateCamera(from: Camera, to: Camera, t: number): Camera {
  if (t <= 0) return { ...from };
  if (t >= 1) return { ...to };
  const mix = (a: number, b: number) => a + (b - a) * t;
  return {
    azimuth: wrapDegrees(from.azimuth + wrapDegrees(to.azimuth - from.azimuth) * t),
    elevation: mix(from.elevation, to.elevation),
    zoom: Math.exp(mix(Math.log(from.zoom), Math.log(to.zoom))),
    x: mix(from.x, to.x),
    y: mix(from.y, to.y),
    z: mix(from.z, to.z),
    ortho: to.ortho,
  };
}
