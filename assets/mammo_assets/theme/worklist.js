// The worklist: search, sort, keyboard, and the highlighted row. The rows come from the server.

import { redraw } from "./panel.js";

const ORDERS = [
  { name: "date", title: "Exam", of: (row) => row.dataset.date || "0", descending: true },
  { name: "status", title: "Status", of: (row) => STATUS[row.dataset.status] ?? 9, descending: false },
  { name: "score", title: "Score", of: (row) => (row.dataset.score === "" ? -1 : Number(row.dataset.score)), descending: true },
];
const STATUS = { "needs answer": 0, "AI failed": 1, "AI done": 2, new: 3, read: 4 };

/** Builds the search box and the headings, and follows `props.value` = {html, open}. Triggers `pick` with {study}. */
export function mount(element, props, trigger, watch) {
  const list = new Worklist(element.querySelector(".panel"), (study) => trigger("pick", { study }));
  const draw = () => props.value && list.draw(props.value);
  watch("value", draw);
  draw();
}

class Worklist {
  constructor(root, pick) {
    this.pick = pick;
    this.order = ORDERS[0];
    this.reversed = false;
    this.search = make("input", { type: "search", placeholder: "Search patient, date, status", ariaLabel: "Search" });
    this.heads = ORDERS.map((order) => make("button", { type: "button", textContent: order.title, order }));
    this.count = make("span", { className: "count" });
    this.body = make("div", { className: "rows", tabIndex: 0, role: "grid", ariaLabel: "Worklist" });
    const heads = make("div", { className: "heads" });
    heads.append(...this.heads, this.count);
    root.replaceChildren(this.search, heads, this.body);
    this.search.addEventListener("input", () => this.arrange());
    this.search.addEventListener("keydown", (event) => {
      if (event.key === "ArrowDown") this.body.focus();
    });
    this.heads.forEach((head) => head.addEventListener("click", () => this.sortBy(head.order)));
    this.body.addEventListener("click", (event) => this.choose(event.target.closest("tr")));
    this.body.addEventListener("keydown", (event) => this.pressed(event));
    this.chosen = "";
  }

  draw({ html, open }) {
    redraw(this.body, html);
    this.chosen = open;
    remember(open);
    this.arrange();
  }

  get rows() {
    return [...this.body.querySelectorAll("tr")];
  }

  get shown() {
    return this.rows.filter((row) => !row.hidden);
  }

  sortBy(order) {
    this.reversed = this.order === order && !this.reversed;
    this.order = order;
    this.arrange();
  }

  arrange() {
    const words = this.search.value.toLowerCase().split(/\s+/).filter(Boolean);
    const sign = (this.order.descending ? -1 : 1) * (this.reversed ? -1 : 1);
    const { of } = this.order;
    const rows = this.rows.sort((a, b) => {
      const [x, y] = [of(a), of(b)];
      return sign * (x < y ? -1 : x > y ? 1 : 0) || Number(b.dataset.study) - Number(a.dataset.study);
    });
    for (const row of rows) row.hidden = !words.every((word) => row.dataset.text.includes(word));
    this.body.querySelector("tbody")?.append(...rows);
    for (const head of this.heads) {
      const on = head.order === this.order;
      const up = (head.order.descending ? -1 : 1) * (this.reversed ? -1 : 1) > 0;
      head.ariaSort = on ? (up ? "ascending" : "descending") : "none";
    }
    this.count.textContent = words.length ? `${this.shown.length} of ${rows.length}` : `${rows.length}`;
    this.mark();
  }

  /** Highlights the study that is open. */
  mark() {
    for (const row of this.rows) row.ariaSelected = row.dataset.study === this.chosen ? "true" : "false";
  }

  choose(row) {
    if (!row) return;
    this.chosen = row.dataset.study;
    this.mark();
    row.scrollIntoView({ block: "nearest" });
    this.pick(row.dataset.study);
  }

  pressed(event) {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (!step && event.key !== "Enter") return;
    event.preventDefault();
    const shown = this.shown;
    const at = shown.findIndex((row) => row.dataset.study === this.chosen);
    if (event.key === "Enter") return this.choose(shown[Math.max(at, 0)]);
    this.choose(shown[at < 0 ? 0 : Math.min(Math.max(at + step, 0), shown.length - 1)]);
  }
}

/** The address names the open study, so that a reload shows it again. */
function remember(study) {
  const url = new URL(location.href);
  if (study) url.searchParams.set("study", study);
  else url.searchParams.delete("study");
  if (url.href !== location.href) history.replaceState(history.state, "", url);
}

function make(tag, properties) {
  return Object.assign(document.createElement(tag), properties);
}
