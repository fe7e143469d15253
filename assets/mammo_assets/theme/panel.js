// One HTML panel: puts the server's HTML in place and sends its buttons and forms back as events.
//
// The HTML is escaped where it is made (markup.py). It is put in only where it changed, and what somebody is typing
// into a form survives as long as the form keeps its `data-keep`.

/** Draws `props.value` into the component and triggers an event of `actions` for each `data-action` used in it. */
export function mount(element, props, trigger, watch, actions) {
  const root = element.querySelector(".panel");
  const draw = () => redraw(root, String(props.value ?? ""));
  watch("value", draw);
  draw();
  const send = (action, fields) => actions.includes(action) && trigger(action, fields);
  root.addEventListener("click", (event) => {
    const button = event.target.closest("button[data-action]");
    if (!button) return;
    event.preventDefault();
    if (button.dataset.confirm && !window.confirm(button.dataset.confirm)) return;
    send(button.dataset.action, { ...button.dataset });
  });
  root.addEventListener("submit", (event) => {
    event.preventDefault();
    const form = event.target;
    send(form.dataset.action, { ...form.dataset, ...Object.fromEntries(new FormData(form)) });
  });
  root.addEventListener("change", (event) => {
    const { target } = event;
    if (target.matches("select[data-action]")) send(target.dataset.action, { ...target.dataset, value: target.value });
    if (target.matches("input[type=checkbox][data-action]")) send(target.dataset.action, { checked: target.checked });
    if (target.matches("[data-action=reader] input")) target.form.requestSubmit();
  });
  return root;
}

/** Puts new HTML in, keeping scroll position, open details, and what was typed or chosen in forms that stay. */
export function redraw(root, html) {
  if (root.drawn === html) return;
  const typed = new Map([...root.querySelectorAll("form[data-keep]")].map((form) => [form.dataset.keep, fields(form)]));
  const open = [...root.querySelectorAll("details[open] > summary")].map((summary) => summary.textContent);
  const focus = root.contains(document.activeElement) ? document.activeElement.name : null;
  const top = root.scrollTop;
  root.innerHTML = html;
  root.drawn = html;
  for (const form of root.querySelectorAll("form[data-keep]")) fill(form, typed.get(form.dataset.keep) ?? []);
  for (const summary of root.querySelectorAll("details > summary")) {
    if (open.includes(summary.textContent)) summary.parentElement.open = true;
  }
  root.scrollTop = top;
  if (focus) root.querySelector(`[name="${CSS.escape(focus)}"]`)?.focus();
}

function fields(form) {
  return [...form.elements].filter((input) => input.name).map((input) => [input.name, input.value, input.checked]);
}

function fill(form, saved) {
  for (const [name, value, checked] of saved) {
    for (const input of form.querySelectorAll(`[name="${CSS.escape(name)}"]`)) {
      if (input.type !== "radio") input.value = value;
      else if (input.value === value) input.checked = checked;
    }
  }
}
