// The worklist: search, sort, keyboard, and which exam is open. The rows come from the server.

import { hasDraft } from "./drafts.js";
import { redraw } from "./panel.js";
import { sentBatches, takeSent } from "./sent.js";
import { nextQuestion, tell } from "./server.js";

const ORDERS = [
  { name: "date", title: "Exam", of: (row) => row.dataset.date || "0", descending: true },
  { name: "added", title: "Added", of: (row) => row.dataset.added, descending: true },
  { name: "status", title: "Status", of: (row) => STATUS[row.dataset.status] ?? 9, descending: false },
  { name: "score", title: "Score", of: (row) => (row.dataset.score === "" ? -1 : Number(row.dataset.score)), descending: true },
];
const STATUS = { "needs answer": 0, "AI failed": 1, "AI done": 2, new: 3, read: 4 };

/**
 * Builds the search box and the headings, and follows `props.value`:
 * {html, open, arrived: {study, batch} | null, asked, problem}; without `html` only the last two are meant.
 * Triggers `pick` with {study, asked}.
 */
export function mount(element, props, trigger, watch) {
  const list = new Worklist(element.querySelector(".panel"), (fields) => trigger("pick", fields));
  const draw = () => props.value && list.take(props.value);
  watch("value", draw);
  draw();
}

class Worklist {
  constructor(root, pick) {
    this.pick = pick;
    this.order = ORDERS[0];
    this.reversed = false;
    this.open = "";
    this.pending = null; // {study, question}: asked for, and not on screen yet
    this.arrived = null;
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
    this.body.addEventListener("click", (event) => this.clicked(event.target.closest("tr")));
    this.body.addEventListener("keydown", (event) => this.pressed(event));
    document.addEventListener("mammo-open", ({ detail }) => this.choose(detail));
    document.addEventListener("mammo-gone", () => this.settle());
    window.addEventListener("popstate", () => this.choose(studyOfAddress()));
  }

  /** Takes the server's answer: to our question, or news. */
  take({ html, open, arrived, asked, problem }) {
    if (problem) tell(problem);
    const answered = this.pending && Number(asked) >= Number(this.pending.question);
    if (answered) this.settle();
    if (html === undefined) return;
    redraw(this.body, html);
    this.open = open;
    this.arrange();
    if (asked === undefined) return; // the empty value that the page begins with
    if (!this.pending) this.address(open, answered);
    this.welcome(arrived);
  }

  /** Nothing is awaited any more: what is marked is what is open. */
  settle() {
    this.pending = null;
    document.body.classList.remove("opening");
    this.mark();
  }

  /** Opens what was just added: what this page sent, unless a call is being typed; other news only where nothing is open. */
  welcome(arrived) {
    const key = JSON.stringify(arrived);
    const first = this.arrived === null;
    const news = key !== this.arrived;
    this.arrived = key;
    if (!arrived || !news) return;
    if (takeSent(arrived.batch)) {
      if (!hasDraft(this.open)) this.choose(arrived.study);
      return;
    }
    const demo = arrived.batch === "";
    if (!first && !this.open && !this.pending && !(demo && sentBatches().length)) this.choose(arrived.study);
  }

  /** The address names the open study, so that a reload shows it again and going back the one before. */
  address(study, chosen) {
    const url = new URL(location.href);
    if (study) url.searchParams.set("study", study);
    else url.searchParams.delete("study");
    if (url.href === location.href) return;
    if (chosen) history.pushState(null, "", url);
    else history.replaceState(null, "", url);
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
    const before = this.rows;
    const rows = [...before].sort((a, b) => {
      const [x, y] = [of(a), of(b)];
      return sign * (x < y ? -1 : x > y ? 1 : 0) || Number(b.dataset.study) - Number(a.dataset.study);
    });
    for (const row of rows) row.hidden = !words.every((word) => row.dataset.text.includes(word));
    if (rows.some((row, index) => row !== before[index])) {
      const top = this.body.scrollTop;
      this.body.querySelector("tbody").append(...rows);
      this.body.scrollTop = top;
    }
    for (const head of this.heads) {
      const on = head.order === this.order;
      const up = (head.order.descending ? -1 : 1) * (this.reversed ? -1 : 1) > 0;
      head.ariaSort = on ? (up ? "ascending" : "descending") : "none";
    }
    this.count.textContent = words.length ? `${this.shown.length} of ${rows.length}` : `${rows.length}`;
    this.mark();
  }

  /** Highlights the study that is open, and the one that was asked for. */
  mark() {
    for (const row of this.rows) {
      row.ariaSelected = row.dataset.study === this.open ? "true" : "false";
      row.ariaBusy = row.dataset.study === this.pending?.study ? "true" : "false";
    }
  }

  clicked(row) {
    this.body.focus({ preventScroll: true });
    if (row) this.choose(row.dataset.study);
  }

  /** Asks for a study; an empty name closes the one that is open. */
  choose(study) {
    if (study === (this.pending?.study ?? this.open)) return;
    this.pending = { study, question: nextQuestion() };
    document.body.classList.add("opening");
    this.mark();
    this.rows.find((row) => row.dataset.study === study)?.scrollIntoView({ block: "nearest" });
    this.pick({ study, asked: this.pending.question });
  }

  pressed(event) {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (!step && event.key !== "Enter") return;
    event.preventDefault();
    const shown = this.shown;
    if (!shown.length) return;
    const at = shown.findIndex((row) => row.dataset.study === (this.pending?.study ?? this.open));
    if (event.key === "Enter") return this.choose(shown[Math.max(at, 0)].dataset.study);
    this.choose(shown[at < 0 ? 0 : Math.min(Math.max(at + step, 0), shown.length - 1)].dataset.study);
  }
}

function studyOfAddress() {
  return new URL(location.href).searchParams.get("study") ?? "";
}

function make(tag, properties) {
  return Object.assign(document.createElement(tag), properties);
}
