// The strip of a live page: how far the evaluation is, and buttons that pause, stop and aim it.
import { button, h } from "../dom/elements";
import type { Session } from "../session";

/** What the server says can be asked of the evaluation. */
export interface Steering { state: "running" | "paused" | "stopping"; refine: boolean; waiting: number }

export class Steer {
  readonly element = h("div", { class: "progress", hidden: true, role: "status" });
  private readonly words = h("span", {});
  private readonly buttons = h("span", { class: "buttons" });
  private key = "";

  constructor(private readonly session: Session, private readonly ask: ((wish: object) => void) | undefined, private readonly wake: () => void) {
    this.element.append(this.words, this.buttons);
  }

  say(progress: string, lost: boolean, steering: Steering | null): void {
    this.element.hidden = !progress;
    this.element.classList.toggle("lost", lost);
    this.element.classList.toggle("paused", steering?.state === "paused");
    this.words.textContent = progress + (steering?.state === "paused" ? " · paused" : steering?.state === "stopping" ? " · stopping" : "") + (steering?.waiting ? " · a closer look follows" : "");
    if (!steering) this.session.band = null;
    this.show(steering);
  }

  private show(steering: Steering | null): void {
    const { ask, session } = this;
    const key = JSON.stringify([steering?.state, steering?.refine, !!session.band]);
    if (key === this.key) return;
    this.key = key;
    const offered = ask && steering && steering.state !== "stopping";
    this.buttons.replaceChildren(...(offered ? [
      steering.state === "paused" ? button("play", "Let the evaluation go on", () => ask({ do: "resume" })) : button("pause", "Let the evaluation wait", () => ask({ do: "pause" })),
      button("stop", "Stop the evaluation; the same command continues it from its archive", () => ask({ do: "stop" })),
      steering.refine && button(session.band ? "drag a rectangle…" : "look closer", "Draw a rectangle on the map or the surface: it is evaluated four times finer", () => {
        session.band = session.band ? null : { from: null, to: null };
        this.show(steering);
        this.wake();
      }, { "aria-pressed": String(!!session.band) }),
    ].filter((b) => b instanceof HTMLElement) : []));
  }

  /** A rectangle has been drawn. */
  drawn(): void {
    const { band } = this.session;
    this.session.band = null;
    this.key = "";
    if (!band?.from || !band.to) return;
    const [[a0, b0], [a1, b1]] = [band.from, band.to];
    if (a0 !== a1 && b0 !== b1) this.ask?.({ do: "refine", alpha: [a0, a1], beta: [b0, b1] });
  }
}
