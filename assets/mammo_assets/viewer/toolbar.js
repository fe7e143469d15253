// The toolbar: buttons of commands, the menu of the file's windows, the heatmap's options.

import { COMMANDS, TOOLBAR, commandNamed, keyName } from "./commands.js";
import { element } from "./dom.js";
import { icon } from "./icons.js";
import { voiName } from "./voi.js";

export class Toolbar {
  constructor(viewer) {
    this.viewer = viewer;
    this.buttons = new Map();
    this.voi = element("select", { class: "mv-select", "aria-label": "Window of the file",
      onchange: () => this.pickVoi() });
    this.options = this.buildHeatOptions();
    const groups = TOOLBAR.map((names) =>
      element("div", { class: "mv-group", role: "group" }, ...names.map((name) => this.build(name))));
    this.node = element("div", { class: "mv-toolbar", role: "toolbar", "aria-label": "Viewer" }, ...groups);
    document.addEventListener("pointerdown", this.outside = (event) => {
      if (!this.options.contains(event.target) && !this.more.contains(event.target)) this.options.hidden = true;
    });
  }

  build(name) {
    if (name === "voi") return this.voi;
    if (name === "heat-options") {
      this.more = this.button("Heatmap options", "sliders", () => { this.options.hidden = !this.options.hidden; });
      this.more.classList.add("mv-ai");
      return element("div", { class: "mv-drop" }, this.more, this.options);
    }
    const command = commandNamed(name);
    const hint = `${command.title}  [${keyName(command.key)}]`;
    const button = this.button(hint, command.icon, () => command.run(this.viewer));
    button.dataset.command = name;
    button.setAttribute("aria-label", command.title);
    if (command.ai) button.classList.add("mv-ai");
    this.buttons.set(name, button);
    return button;
  }

  button(title, name, run) {
    // Focus stays where it was, so that the space bar pans instead of pressing the button again.
    const keep = (event) => event.preventDefault();
    const shape = { type: "button", class: "mv-button", title, "aria-label": title };
    return element("button", { ...shape, onmousedown: keep, onclick: run }, icon(name));
  }

  buildHeatOptions() {
    const { viewer } = this;
    const slider = (label, name) => {
      const input = element("input", { type: "range", min: 0, max: 1, step: 0.01, "aria-label": label,
        oninput: () => viewer.set({ [name]: Number(input.value) }), onchange: () => input.blur() });
      const shown = element("output");
      this[name] = { input, shown };
      return element("label", {}, element("span", {}, label), input, shown);
    };
    this.perView = element("input", { type: "checkbox", onchange: () => {
      viewer.set({ perView: this.perView.checked });
      this.perView.blur();
    } });
    return element("div", { class: "mv-popover mv-ai", hidden: true },
      slider("Opacity", "opacity"), slider("Threshold", "threshold"),
      element("label", { class: "mv-check" }, this.perView, element("span", {}, "Scale each view by its own peak")),
      element("p", {}, "Off: one scale for the exam's views, so that a quiet view looks quiet."));
  }

  pickVoi() {
    const image = this.viewer.activePane?.image;
    if (image) this.viewer.chooseVoi(image, Number(this.voi.value));
    this.voi.blur();
  }

  /** Menus and pressed buttons follow the viewer's state. */
  refresh() {
    const { viewer } = this;
    for (const command of COMMANDS) {
      const button = this.buttons.get(command.name);
      if (!button) continue;
      if (command.pressed) button.setAttribute("aria-pressed", String(Boolean(command.pressed(viewer))));
      button.disabled = command.enabled ? !command.enabled(viewer) : false;
    }
    const image = viewer.activePane?.image;
    const names = image ? image.vois.map(voiName) : ["No picture"];
    const current = [...this.voi.options].map((option) => option.textContent);
    if (names.join("\n") !== current.join("\n")) {
      this.voi.replaceChildren(...names.map((name, index) => element("option", { value: index }, name)));
    }
    this.voi.disabled = !image;
    this.voi.value = String(image ? viewer.tone(image).choice : 0);
    this.voi.title = `${names[this.voi.value]}: window (VOI) choices of the file  [V]`;
    for (const name of ["opacity", "threshold"]) {
      this[name].input.value = viewer.state[name];
      this[name].shown.textContent = `${Math.round(viewer.state[name] * 100)} %`;
    }
    this.perView.checked = viewer.state.perView;
    if (viewer.state.aiHidden) this.options.hidden = true;
  }

  destroy() {
    document.removeEventListener("pointerdown", this.outside);
  }
}
