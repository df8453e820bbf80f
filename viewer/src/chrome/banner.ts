// A strip of words above the page's foot; what was closed once is not said again.
import { button, h } from "../dom/elements";

export class Banner {
  readonly element = h("div", { class: "banner", hidden: true, role: "alert" });
  private dismissed = "";

  show(words: string): void {
    this.element.hidden = !words || words === this.dismissed;
    if (this.element.hidden) return;
    const close = button("close", "Close", () => { this.dismissed = words; this.element.hidden = true; });
    this.element.replaceChildren(h("span", {}, words), close);
  }
}
