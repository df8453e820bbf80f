// Pointer events as drag, zoom, hover and click handlers. Left button rotates, middle and wheel zoom, right or Shift pans.

export interface PointerHandlers {
  /** A drag begins at a position. */
  dragStart(x: number, y: number): boolean;
  rotate(dx: number, dy: number): void;
  pan(dx: number, dy: number): void;
  zoom(factor: number, x: number, y: number): void;
  /** `glide` is the speed of the last movement, in pixels a millisecond. */
  dragEnd(glide: { dx: number; dy: number } | null): void;
  hover(x: number, y: number, touch: boolean): void;
  leave(): void;
  click(x: number, y: number): void;
  doubleClick(x: number, y: number): void;
  /** May the wheel zoom now? In a scrolling page it waits for a click or Ctrl. */
  wheelAllowed(event: WheelEvent): boolean;
}

export function listenToPointer(element: HTMLElement, handlers: PointerHandlers): () => void {
  const pointers = new Map<number, { x: number; y: number }>();
  let button = -1;
  let shift = false;
  let moved = 0;
  let last = { x: 0, y: 0, time: 0, vx: 0, vy: 0 };
  const position = (event: PointerEvent | MouseEvent) => {
    const box = element.getBoundingClientRect();
    return { x: event.clientX - box.left, y: event.clientY - box.top };
  };

  // Buttons and panels lie on the picture and handle their own clicks. A captured pointer would take the click from them.
  const onControl = (event: Event) =>
    event
      .composedPath()
      .some(
        (node) =>
          node instanceof Element &&
          node !== element &&
          element.contains(node) &&
          node.matches("button, select, input, .tools, .panel, .profile"),
      );

  const down = (event: PointerEvent) => {
    if (onControl(event)) return;
    const at = position(event);
    pointers.set(event.pointerId, at);
    element.setPointerCapture(event.pointerId);
    if (pointers.size === 1) {
      button = event.button;
      shift = event.shiftKey;
      moved = 0;
      last = { ...at, time: event.timeStamp, vx: 0, vy: 0 };
      handlers.dragStart(at.x, at.y);
    }
    if (event.button === 1) event.preventDefault();
  };

  const move = (event: PointerEvent) => {
    const at = position(event);
    const before = pointers.get(event.pointerId);
    if (!before && onControl(event)) return handlers.leave();
    if (!before) return handlers.hover(at.x, at.y, event.pointerType === "touch");
    if (pointers.size === 2) pinch(event.pointerId, at, before);
    else drag(at, before, event.timeStamp);
    pointers.set(event.pointerId, at);
  };

  const drag = (at: { x: number; y: number }, before: { x: number; y: number }, time: number) => {
    const [dx, dy] = [at.x - before.x, at.y - before.y];
    moved += Math.hypot(dx, dy);
    const elapsed = Math.max(time - last.time, 1);
    last = { ...at, time, vx: 0.6 * (dx / elapsed) + 0.4 * last.vx, vy: 0.6 * (dy / elapsed) + 0.4 * last.vy };
    if (button === 1) handlers.zoom(Math.exp(-dy * 0.008), at.x, at.y);
    else if (button === 2 || shift) handlers.pan(dx, dy);
    else handlers.rotate(dx, dy);
  };

  const pinch = (id: number, at: { x: number; y: number }, before: { x: number; y: number }) => {
    const other = [...pointers].find(([key]) => key !== id)![1];
    const [was, is] = [Math.hypot(before.x - other.x, before.y - other.y), Math.hypot(at.x - other.x, at.y - other.y)];
    moved += 10;
    handlers.zoom(is / Math.max(was, 1), (at.x + other.x) / 2, (at.y + other.y) / 2);
    handlers.pan((at.x - before.x) / 2, (at.y - before.y) / 2);
  };

  const up = (event: PointerEvent) => {
    if (!pointers.delete(event.pointerId) || pointers.size) return;
    const recent = event.timeStamp - last.time < 60 && moved > 12 && button === 0 && !shift;
    handlers.dragEnd(recent ? { dx: last.vx, dy: last.vy } : null);
    const at = position(event);
    if (moved < 5 && button === 0) handlers.click(at.x, at.y);
    if (event.pointerType === "touch") handlers.leave();
  };

  const wheel = (event: WheelEvent) => {
    if (onControl(event) || !handlers.wheelAllowed(event)) return;
    event.preventDefault();
    const at = position(event);
    const lines = event.deltaMode === 1 ? 16 : event.deltaMode === 2 ? 400 : 1;
    handlers.zoom(Math.exp(-Math.max(-240, Math.min(240, event.deltaY * lines)) * 0.0016), at.x, at.y);
  };

  const events: [string, (event: never) => void, AddEventListenerOptions?][] = [
    ["pointerdown", down], ["pointermove", move], ["pointerup", up], ["pointercancel", up],
    ["pointerleave", () => pointers.size || handlers.leave()], ["wheel", wheel, { passive: false }],
    ["contextmenu", (event: MouseEvent) => event.preventDefault()],
    ["dblclick", (event: MouseEvent) => { if (onControl(event)) return; const at = position(event); handlers.doubleClick(at.x, at.y); }],
    ["auxclick", (event: MouseEvent) => event.preventDefault()],
    ["mousedown", (event: MouseEvent) => event.button === 1 && event.preventDefault()],
  ];
  for (const [name, handler, options] of events) element.addEventListener(name, handler as EventListener, options);
  return () => events.forEach(([name, handler]) => element.removeEventListener(name, handler as EventListener));
}
