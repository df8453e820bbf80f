// Projection of world coordinates to pixels, and rays from pixels: the cameras of the views.
import { OrthographicCamera, PerspectiveCamera, Vector3 } from "three";
import { DISTANCE, eyePosition, FIELD_OF_VIEW, viewAxes, type Camera } from "../math/camera";
import type { WorldCoordinates } from "../math/coordinates";
import type { Ray } from "../math/ray";
import type { ViewState } from "../state";
import type { View } from "./viewLayout";

const perspective = new PerspectiveCamera(FIELD_OF_VIEW, 1, 0.05, 60);
const orthographic = new OrthographicCamera(-1, 1, 1, -1, -30, 60);

/** Factor by which the camera moves back in a narrow view to keep the whole box in it. */
export function narrowViewFactor(aspect: number): number {
  return Math.max(1, 1.32 / aspect);
}

export function viewCamera(view: View, state: ViewState, world: WorldCoordinates): PerspectiveCamera | OrthographicCamera {
  return view.kind === "map" ? mapCamera(state, world) : surfaceCamera(view, state.camera);
}

function surfaceCamera(view: View, camera: Camera): PerspectiveCamera | OrthographicCamera {
  const aspect = view.rect.width / view.rect.height;
  const zoom = camera.zoom / narrowViewFactor(aspect);
  const { up } = viewAxes(camera);
  const three = camera.ortho ? orthographic : perspective;
  if (camera.ortho) {
    const half = Math.tan((FIELD_OF_VIEW / 2) * (Math.PI / 180)) * (DISTANCE / zoom);
    Object.assign(orthographic, { left: -half * aspect, right: half * aspect, top: half, bottom: -half });
  } else Object.assign(perspective, { aspect, near: 0.02 * (DISTANCE / zoom), far: DISTANCE / zoom + 12 });
  three.up.set(...up);
  three.position.set(...eyePosition({ ...camera, zoom }));
  three.lookAt(camera.x, camera.y, camera.z);
  return updateMatrices(three);
}

function mapCamera(state: ViewState, world: WorldCoordinates): OrthographicCamera {
  const { zoom, x, y } = state.mapView;
  const [w, h] = [world.halfX / zoom, world.halfY / zoom];
  Object.assign(orthographic, { left: x - w, right: x + w, top: y + h, bottom: y - h });
  orthographic.up.set(0, 1, 0);
  orthographic.position.set(0, 0, 10);
  orthographic.lookAt(0, 0, 0);
  return updateMatrices(orthographic);
}

function updateMatrices<T extends PerspectiveCamera | OrthographicCamera>(camera: T): T {
  camera.updateProjectionMatrix();
  camera.updateMatrixWorld(true);
  return camera;
}

const scratch = new Vector3();

/** World to pixels of the picture; the third number is the depth in [-1, 1]. */
export function project(view: View, state: ViewState, world: WorldCoordinates, x: number, y: number, z: number): [number, number, number] {
  scratch.set(x, y, view.kind === "map" ? 0 : z).project(viewCamera(view, state, world));
  const { rect } = view;
  return [rect.x + ((scratch.x + 1) / 2) * rect.width, rect.y + ((1 - scratch.y) / 2) * rect.height, scratch.z];
}

export function rayAt(view: View, state: ViewState, world: WorldCoordinates, px: number, py: number): Ray {
  const camera = viewCamera(view, state, world);
  const x = ((px - view.rect.x) / view.rect.width) * 2 - 1;
  const y = 1 - ((py - view.rect.y) / view.rect.height) * 2;
  const near = new Vector3(x, y, -1).unproject(camera);
  const far = new Vector3(x, y, 1).unproject(camera).sub(near).normalize();
  return { origin: [near.x, near.y, near.z], direction: [far.x, far.y, far.z] };
}

/** Plane position under a pixel of a map view. */
export function mapPosition(view: View, state: ViewState, world: WorldCoordinates, px: number, py: number): { x: number; y: number } {
  const { rect } = view;
  const { zoom, x, y } = state.mapView;
  return {
    x: x + (((px - rect.x) / rect.width) * 2 - 1) * (world.halfX / zoom),
    y: y + (1 - ((py - rect.y) / rect.height) * 2) * (world.halfY / zoom),
  };
}
