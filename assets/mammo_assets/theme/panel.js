// One HTML panel: puts the server's HTML in place and sends its buttons and forms back as events.
//
// The HTML is escaped where it is made (markup.py). It is put in only where it changed. What somebody is typing into a
// form with `data-draft` is a draft (drafts.js) until the server says that this page's own call was recorded.

import { draftOf, draftRecorded, keepDraft } from "./drafts.js";
import { sendModel } from "./sending.js";
import { nextQuestion } from "./server.js";

let wanted = ""; // id of the component that is brought into sight when it is drawn next
const sent = new Map(); // our name of a form that was sent -> name of its draft, and its fields

/** Draws `props.value` into the component and triggers an event of `actions` for each `data-action` used in it. */
export function mount(element, props, trigger, watch, actions) {
  const root = element.querySelector(".panel");
  const draw = () => redraw(root, String(props.value ?? ""));
  watch("value", draw);
  draw();
  const send = (action, fields) => {
    if (action === "pick") {
      document.querySelector("#tabs [role=tab]")?.click(); // the first is the one that exams are read in
      document.dispatchEvent(new CustomEvent("mammo-open", { detail: fields.study }));
    }
    if (action !== "pick" && actions.includes(action)) trigger(action, { ...fields, asked: nextQuestion() });
  };
  root.addEventListener("click", (event) => {
    const button = event.target.closest("button[data-action], button[data-copy], button[data-opens]");
    if (!button) return;
    event.preventDefault();
    if (button.dataset.copy) return copy(button);
    if (button.dataset.opens) return openModel(button.dataset.opens, Date.now() + 20000);
    if (button.dataset.confirm && !window.confirm(button.dataset.confirm)) return;
    show(button.dataset.shows);
    send(button.dataset.action, { ...button.dataset });
  });
  root.addEventListener("submit", (event) => {
    event.preventDefault();
    const form = event.target;
    const name = form.dataset.draft ? crypto.randomUUID() : "";
    show(form.dataset.shows);
    if (name) sent.set(name, [form.dataset.draft, fieldsOf(form)]);
    send(form.dataset.action, { ...form.dataset, ...Object.fromEntries(new FormData(form)), form: name });
  });
  root.addEventListener("input", (event) => {
    const form = event.target.closest("form[data-draft]");
    if (form) keepDraft(form.dataset.draft, fieldsOf(form));
  });
  root.addEventListener("change", (event) => {
    const { target } = event;
    if (target.matches("select[data-action]")) send(target.dataset.action, { ...target.dataset, value: target.value });
    if (target.matches("input[type=text][data-action]")) send(target.dataset.action, { ...target.dataset, value: target.value });
    if (target.matches("input[type=checkbox][data-action]")) send(target.dataset.action, { ...target.dataset, checked: target.checked });
    if (target.matches("[data-action=reader] input")) target.form.requestSubmit();
    if (target.matches("input[data-send]")) sendModel(target, send);
    else if (target.matches("input[type=file]")) readInto(target);
  });
  // A list to glance at closes when the user turns to something else.
  document.addEventListener("pointerdown", ({ target }) => {
    if (!root.contains(target)) for (const list of root.querySelectorAll("details[data-glance]")) list.open = false;
  });
  return root;
}

/** Puts new HTML in, keeping scroll position, what is open and what is closed, drafts, focus and caret. */
export function redraw(root, html) {
  if (root.drawn === html) return;
  const open = [...root.querySelectorAll("details[open]")].map(nameOf);
  const glanced = root.querySelector("details[data-glance]:not([open])") !== null;
  const { name, selectionStart, selectionEnd } = root.contains(document.activeElement) ? document.activeElement : {};
  const top = root.scrollTop;
  root.innerHTML = html;
  root.drawn = html;
  for (const form of root.querySelectorAll("form[data-draft]")) {
    const { draft, recorded } = form.dataset;
    if (sent.has(recorded)) draftRecorded(...sent.get(recorded));
    sent.delete(recorded);
    fill(form, draftOf(draft));
  }
  for (const list of root.querySelectorAll("details")) {
    if ("glance" in list.dataset) list.open = !glanced;
    else if (open.includes(nameOf(list))) list.open = true;
  }
  root.scrollTop = top;
  if (wanted && root.closest(`#${wanted}`)) show(wanted, "");
  const focused = name ? root.querySelector(`[name="${CSS.escape(name)}"]`) : null;
  focused?.focus({ preventScroll: true });
  if (focused?.matches("textarea, input[type=text]")) focused.setSelectionRange(selectionStart, selectionEnd);
}

/** Brings a component into sight where too little of it is seen, now and when what was asked for is drawn in it. */
function show(id, next = id) {
  wanted = next ?? wanted;
  const component = id && document.getElementById(id);
  const top = component ? component.getBoundingClientRect().top / window.innerHeight : 0.5;
  if (top < 0.05 || top > 0.5) component.scrollIntoView({ block: "start" });
}

/** Opens the Models tab and chooses a model there, as soon as it is listed. */
function openModel(sha256, until) {
  [...document.querySelectorAll("#tabs [role=tab]")].find((tab) => tab.textContent.trim() === "Models")?.click();
  const choose = () => {
    const listed = document.querySelector(`#models-list button[data-model="${CSS.escape(sha256)}"]`);
    if (listed) listed.click();
    else if (Date.now() < until) window.setTimeout(choose, 200);
  };
  choose();
}

/** Copies what stands on a button; without the clipboard, which plain HTTP does not have, the text is selected. */
async function copy(button) {
  try {
    await navigator.clipboard.writeText(button.dataset.copy);
    button.textContent = "Copied";
  } catch {
    window.getSelection().selectAllChildren(button.parentElement.querySelector("code"));
  }
}

/** What a list is known by when it is drawn anew: its key, or what is always written on it. */
function nameOf(list) {
  return list.dataset.key ?? list.querySelector("summary")?.textContent;
}

/** Puts a chosen text file into its form, to be looked at before it is sent. */
async function readInto(input) {
  const [file] = input.files;
  if (!file) return;
  const text = await file.text();
  input.form.elements.text.value = text;
  input.form.elements.file.value = file.name;
}

/** [[name, value, checked], ...]; `checked` is null for what is not a radio button. */
function fieldsOf(form) {
  const named = [...form.elements].filter((input) => input.name);
  return named.map((input) => [input.name, input.value, input.type === "radio" ? input.checked : null]);
}

function fill(form, saved) {
  for (const [name, value, checked] of saved) {
    for (const input of form.querySelectorAll(`[name="${CSS.escape(name)}"]`)) {
      if (input.type !== "radio") input.value = value;
      else if (input.value === value) input.checked = checked;
    }
  }
}
