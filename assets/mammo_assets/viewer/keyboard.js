// Keys, only while the viewer has the focus or the mouse and no other part of the page means them: one press does one
// thing.

import { commandOfKey } from "./commands.js";

const HELD = 250; // ms: a longer press of M shows the magnifier only while it lasts
const TICKED = "input:is([type=radio], [type=checkbox], [type=range], [type=button], [type=submit])";
const TYPING = `input:not(${TICKED}), textarea, select, [contenteditable=true], [contenteditable='']`;
// Keys that widgets of the browser have of their own. Those of the app's (the worklist) prevent the event's default.
const OWN_KEYS = [
  ["input, button, summary, a[href]", [" ", "Enter"]],
  ["input, [role=tab]", ["ArrowLeft", "ArrowRight", "ArrowUp", "ArrowDown"]],
];

export class Keyboard {
  constructor(viewer, controls) {
    this.viewer = viewer;
    this.controls = controls;
    this.down = (event) => this.pressed(event);
    this.up = (event) => this.released(event);
    this.away = () => this.letGo();
    document.addEventListener("keydown", this.down);
    document.addEventListener("keyup", this.up);
    window.addEventListener("blur", this.away);
  }

  listening(event) {
    const { root } = this.viewer;
    const focused = document.activeElement;
    if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey) return false;
    if (focused?.closest?.(TYPING)) return false;
    if (OWN_KEYS.some(([widgets, keys]) => keys.includes(event.key) && focused?.matches(widgets))) return false;
    return root.contains(focused) || root.matches(":hover");
  }

  pressed(event) {
    if (!this.listening(event)) return;
    const { viewer, controls } = this;
    if (event.key === " ") controls.pointer.space = true;
    else if (event.key === "Escape") this.escape();
    else if (event.key === "m") this.magnifierDown(event);
    else {
      const command = commandOfKey(event.key);
      if (!command || (command.ai && viewer.state.aiHidden)) return;
      if (!command.enabled || command.enabled(viewer)) command.run(viewer, controls.pointer.hit);
    }
    event.preventDefault();
  }

  escape() {
    const { viewer, controls } = this;
    controls.toolbar.options.hidden = true;
    if (controls.card) controls.toggleCard(controls.card);
    else if (controls.ruler) controls.selectRuler(null);
    else viewer.set({ tool: "window", magnifier: false });
  }

  magnifierDown(event) {
    if (event.repeat || this.since) return;
    this.since = performance.now();
    this.wasOn = this.viewer.state.magnifier;
    this.viewer.set({ magnifier: true });
  }

  released(event) {
    if (event.key === " ") this.controls.pointer.space = false;
    if (event.key.toLowerCase() !== "m" || !this.since) return;
    const held = performance.now() - this.since > HELD;
    this.since = 0;
    if (held || this.wasOn) this.viewer.set({ magnifier: false });
  }

  /** The window lost the keyboard: keys held down will never be heard going up. */
  letGo() {
    this.controls.pointer.space = false;
    if (this.since) this.viewer.set({ magnifier: false });
    this.since = 0;
  }

  destroy() {
    document.removeEventListener("keydown", this.down);
    document.removeEventListener("keyup", this.up);
    window.removeEventListener("blur", this.away);
  }
}
