// The Threshold tab's controls: a slider that answers the hand at once, and asks the server no faster than it answers.
//
// Everything else is a panel like the others (panel.js). The server's answer names the question that it answers; until
// then the newest place of the slider waits, and the places in between are never asked for.

import { mount as mountPanel, redraw } from "./panel.js";
import { nextQuestion } from "./server.js";

/** Follows `props.value`: {html, asked, threshold}. */
export function mount(element, props, trigger, watch, actions) {
  const root = element.querySelector(".panel");
  const slider = new Slider(root, trigger);
  mountPanel(element, { value: "" }, slider.trigger, () => {}, actions);
  const draw = () => props.value && slider.take(props.value);
  watch("value", draw);
  draw();
}

class Slider {
  constructor(root, trigger) {
    this.root = root;
    this.waiting = null; // the place that is to be asked for next
    this.question = null; // what the server has not answered yet
    this.asked = null; // the place that this question is about
    this.dragging = false;
    this.kept = null; // an answer that came while somebody dragged
    this.trigger = (action, fields) => {
      this.question = fields.asked;
      this.asked = action === "move" ? fields.threshold : null;
      trigger(action, fields);
    };
    this.ask = (threshold) => this.trigger("move", { threshold, asked: nextQuestion() });
    root.addEventListener("input", ({ target }) => {
      if (target.id === "threshold-slider") this.moved(target.value);
    });
    root.addEventListener("pointerdown", ({ target }) => {
      this.dragging = target.id === "threshold-slider";
    });
    for (const end of ["pointerup", "pointercancel"]) window.addEventListener(end, () => this.released());
    // A typed number counts when the field is left, which Enter does too.
    root.addEventListener("change", ({ target }) => {
      if (target.matches(".target input[type=text]")) target.form.requestSubmit();
    });
    root.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" || !event.target.matches(".target input[type=text]")) return;
      event.preventDefault();
      event.target.blur();
    });
  }

  moved(threshold) {
    this.root.querySelector("#threshold-value").textContent = Number(threshold).toFixed(3);
    if (this.question !== null) this.waiting = threshold;
    else this.ask(threshold);
  }

  released() {
    this.dragging = false;
    if (this.kept) this.draw(this.kept);
  }

  /** Takes an answer. New HTML would end a drag: it waits until the slider is let go. */
  take(answer) {
    if (!answer.html) return;
    if (this.question !== null && Number(answer.asked) >= Number(this.question)) this.question = this.asked = null;
    if (this.dragging) this.kept = answer;
    else this.draw(answer);
    if (this.question !== null || this.waiting === null) return;
    this.ask(this.waiting);
    this.waiting = null;
  }

  /** Puts the controls in, the keyboard staying on the slider if it was there, which stands where the hand has put it. */
  draw({ html, threshold }) {
    this.kept = null;
    const focused = document.activeElement?.id === "threshold-slider";
    redraw(this.root, html);
    const slider = this.root.querySelector("#threshold-slider");
    if (!slider) return;
    if (focused) slider.focus({ preventScroll: true });
    // An answer for a place that the hand has left since does not take the slider back there.
    const newest = this.waiting ?? this.asked;
    slider.value = newest ?? threshold;
    if (newest !== null) this.root.querySelector("#threshold-value").textContent = Number(newest).toFixed(3);
  }
}
