// Whether the app still answers, and what it said: the notice at the bottom, and the dimmed page when it is gone.

const EVERY = 2000; // ms
const NOTICE = 15000; // ms

let questions = 0;
let running = null; // how the running app calls itself
let timer = 0;
/** Set when the page is about to load itself again: nobody is to be asked about that. */
export let leaving = false;

/** A name for what the page asks next; the app names the last question that it has answered. */
export function nextQuestion() {
  check(); // an app that is gone is noticed now and not in two seconds
  return String(++questions);
}

/** Says in words, without covering anything that is read, what could not be done. */
export function tell(text) {
  const place = document.getElementById("notice");
  place.textContent = text;
  place.hidden = false;
  clearTimeout(timer);
  timer = setTimeout(() => (place.hidden = true), NOTICE);
}

/** Sends something: {problem, text}; `problem` is empty, or says what went wrong. */
export async function post(url, body) {
  try {
    const response = await fetch(url, { method: "POST", body, headers: { "Content-Type": "application/octet-stream" } });
    const text = (await response.text()).slice(0, 300);
    return response.ok ? { problem: "", text } : { problem: text, text: "" };
  } catch (error) {
    return { problem: `the app cannot be reached (${error.message})`, text: "" };
  }
}

export function watchServer() {
  document.getElementById("notice").addEventListener("click", (event) => (event.currentTarget.hidden = true));
  setInterval(check, EVERY);
  return check();
}

async function check() {
  let name;
  try {
    const answer = await fetch("/mammo/alive", { cache: "no-store" });
    name = answer.ok ? await answer.text() : null;
  } catch {
    document.body.classList.add("gone");
    document.dispatchEvent(new Event("mammo-gone"));
    return;
  }
  if (!name) return;
  running ??= name;
  // Started again, or back after a break: the page begins anew, at the same exam and with what was typed.
  if (running === name && !document.body.classList.contains("gone")) return;
  leaving = true;
  location.reload();
}
