// Panel host: one dialog at a time over the picture (settings, share, about, keys).

export class Panels {
  private open: { name: string; element: HTMLElement } | null = null;

  constructor(
    private readonly host: HTMLElement,
    private readonly make: (name: string) => HTMLElement,
    private readonly changed: (name: string | null) => void,
  ) {}

  get name(): string | null {
    return this.open?.name ?? null;
  }

  toggle(name: string): void {
    const same = this.name === name;
    this.close();
    if (same) return;
    const element = this.make(name);
    this.host.append(element);
    this.open = { name, element };
    this.changed(name);
    element.querySelector<HTMLElement>("select, button, input")?.focus({ preventScroll: true });
  }

  /** Whether one was open and is closed now. */
  close(): boolean {
    if (!this.open) return false;
    this.open.element.remove();
    this.open = null;
    this.changed(null);
    return true;
  }
}
