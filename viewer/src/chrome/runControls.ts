// Progress line and pause, stop and refine buttons of a live page.
import { button, h } from "../dom/elements";
import type { Session } from "../session";

/** State of the evaluation, and which requests the server accepts. */
export interface RunStatus { state: "running" | "paused" | "stopping"; refine: boolean; waiting: number }

export class RunControls {
  readonly element = h("div", { class: "progress", hidden: true, role: "status" });
  private readonly label = h("span", {});
  private readonly buttons = h("span", { class: "buttons" });
  private key = "";

  constructor(
    private readonly session: Session,
    private readonly sendRequest: ((request: object) => void) | undefined,
    private readonly requestFrame: () => void,
  ) {
    this.element.append(this.label, this.buttons);
  }

  showProgress(progress: string, lost: boolean, status: RunStatus | null): void {
    this.element.hidden = !progress;
    this.element.classList.toggle("lost", lost);
    this.element.classList.toggle("paused", status?.state === "paused");
    this.label.textContent =
      progress +
      (status?.state === "paused" ? " · paused" : status?.state === "stopping" ? " · stopping" : "") +
      (status?.waiting ? " · a closer look follows" : "");
    if (!status) this.session.selection = null;
    this.updateButtons(status);
  }

  private updateButtons(status: RunStatus | null): void {
    const { sendRequest, session } = this;
    const key = JSON.stringify([status?.state, status?.refine, !!session.selection]);
    if (key === this.key) return;
    this.key = key;
    const offered = sendRequest && status && status.state !== "stopping";
    this.buttons.replaceChildren(
      ...(offered
        ? [
            status.state === "paused"
              ? button("play", "Let the evaluation go on", () => sendRequest({ do: "resume" }))
              : button("pause", "Let the evaluation wait", () => sendRequest({ do: "pause" })),
            button("stop", "Stop the evaluation; the same command continues it from its archive", () => sendRequest({ do: "stop" })),
            status.refine &&
              button(
                session.selection ? "drag a rectangle…" : "look closer",
                "Draw a rectangle on the map or the surface: it is evaluated four times finer",
                () => {
                  session.selection = session.selection ? null : { from: null, to: null };
                  this.updateButtons(status);
                  this.requestFrame();
                },
                { "aria-pressed": String(!!session.selection) },
              ),
          ].filter((b) => b instanceof HTMLElement)
        : []),
    );
  }

  /** A rectangle has been drawn. */
  submitRegion(): void {
    const { selection } = this.session;
    this.session.selection = null;
    this.key = "";
    if (!selection?.from || !selection.to) return;
    const [[a0, b0], [a1, b1]] = [selection.from, selection.to];
    if (a0 !== a1 && b0 !== b1) this.sendRequest?.({ do: "refine", alpha: [a0, a1], beta: [b0, b1] });
  }
}
