// What belongs to the page as a whole: the dark theme, files dropped anywhere, what must not be lost by leaving.

import { anyDraft } from "./drafts.js";
import { Intake } from "./intake.js";
import { leaving, watchServer } from "./server.js";

document.body.classList.add("dark");
const intake = new Intake(document);
document.addEventListener("mammo-leaving", (event) => {
  if (!leaving && (intake.sending || anyDraft())) event.preventDefault();
});
whenThere("#notice", watchServer);

/** Gradio builds the page after this module has run. */
function whenThere(selector, then) {
  if (document.querySelector(selector)) return then();
  const observer = new MutationObserver(() => {
    if (!document.querySelector(selector)) return;
    observer.disconnect();
    then();
  });
  observer.observe(document.documentElement, { childList: true, subtree: true });
}
