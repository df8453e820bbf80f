// Warning banner above the footer; a message that was closed is not shown again.
import { button, h } from "../dom/elements";

export class Banner {
  readonly element = h("div", { class: "banner", hidden: true, role: "alert" });
  private dismissed = "";

  show(text: string): void {
    this.element.hidden = !text || text === this.dismissed;
    if (this.element.hidden) return;
    const close = button("close", "Close", () => { this.dismissed = text; this.element.hidden = true; });
    this.element.replaceChildren(h("span", {}, text), close);
  }
}
