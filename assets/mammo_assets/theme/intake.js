// Files on their way to the library: dropped anywhere on the page, or chosen with a picker. Each is sent by itself,
// as it is, to a route of this app; what becomes of it is told by the server.

import { rememberSent, takeSent } from "./sent.js";
import { post, tell } from "./server.js";

const AT_ONCE = 3;
const LONGEST = 1000; // characters of a name; the end says more than the beginning

export class Intake {
  constructor(page) {
    this.page = page;
    this.depth = 0;
    this.sending = 0; // batches on their way
    page.addEventListener("dragenter", (event) => this.over(event, 1));
    page.addEventListener("dragleave", (event) => this.over(event, -1));
    page.addEventListener("dragover", (event) => carriesFiles(event) && event.preventDefault());
    // In the capture phase, so that no widget takes a drop for itself.
    page.addEventListener("drop", (event) => this.dropped(event), true);
    page.addEventListener("click", (event) => {
      const button = event.target.closest?.("#add-files, #add-folder");
      if (button) this.choose(button.id === "add-folder");
    });
  }

  over(event, step) {
    if (!carriesFiles(event)) return;
    event.preventDefault();
    this.depth = Math.max(0, this.depth + step);
    this.page.body.classList.toggle("dropping", this.depth > 0);
  }

  async dropped(event) {
    if (!carriesFiles(event)) return;
    event.preventDefault();
    event.stopPropagation();
    this.depth = 0;
    this.page.body.classList.remove("dropping");
    // Entries are gone after the first await: take them all now.
    const items = [...event.dataTransfer.items].filter((item) => item.kind === "file");
    const entries = items.map((item) => [item.webkitGetAsEntry?.() ?? null, item.getAsFile()]);
    const [files, unread] = [[], []];
    for (const [entry, file] of entries) {
      if (entry) await collect(entry, "", files, unread);
      else if (file) files.push({ name: file.name, file });
    }
    await this.send(files, unread);
  }

  choose(folder) {
    const input = Object.assign(this.page.createElement("input"), { type: "file", multiple: true });
    if (folder) input.webkitdirectory = true;
    input.addEventListener("change", () => {
      this.send([...input.files].map((file) => ({ name: file.webkitRelativePath || file.name, file })));
    });
    input.click();
  }

  /** Sends `files` ({name, file}) as one batch; `failed` says what could not even be read. */
  async send(files, failed = []) {
    if (!files.length) return tell(failed.length ? summary(failed) : "Nothing to add was dropped.");
    const batch = [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
    const total = files.reduce((sum, { file }) => sum + file.size, 0);
    let bytes = 0, next = 0, kept = 0;
    this.sending += 1;
    rememberSent(batch);
    const worker = async () => {
      while (next < files.length) {
        const { name, file } = files[next++];
        const query = `name=${encodeURIComponent(shortened(name))}`;
        const { problem } = await post(`/mammo/intake/${batch}/file?${query}`, file);
        if (problem) failed.push(`${name}: ${problem}`);
        else kept += 1;
        bytes += file.size;
        this.say(`Sending ${next} of ${files.length} files, ${total ? Math.round((100 * bytes) / total) : 100} %`);
      }
    };
    await Promise.all(Array.from({ length: AT_ONCE }, worker));
    const { problem } = kept ? await post(`/mammo/intake/${batch}/done`, "") : { problem: "" };
    if (problem) failed.push(problem);
    if (problem || !kept) takeSent(batch);
    this.sending -= 1;
    this.say("");
    if (failed.length) tell(summary(failed));
  }

  say(text) {
    const place = this.page.getElementById("sending");
    place.textContent = text;
    place.title = text;
  }
}

function carriesFiles(event) {
  return event.dataTransfer?.types?.includes("Files");
}

function summary(failed) {
  return `Not sent: ${failed.slice(0, 3).join("; ")}${failed.length > 3 ? `; and ${failed.length - 3} more` : ""}`;
}

/** The last characters of a name that is too long for the server, whole characters only. */
function shortened(name) {
  return name.length <= LONGEST ? name : `…${[...name.slice(-LONGEST + 1)].filter((c) => c.isWellFormed()).join("")}`;
}

/** Every file under a dropped entry, with its path below what was dropped; what cannot be read goes to `unread`. */
async function collect(entry, folder, files, unread) {
  const name = folder ? `${folder}/${entry.name}` : entry.name;
  try {
    if (entry.isFile) {
      files.push({ name, file: await new Promise((resolve, reject) => entry.file(resolve, reject)) });
      return;
    }
    const reader = entry.createReader();
    for (;;) {
      const entries = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
      if (!entries.length) return; // a reader gives its entries in portions
      for (const child of entries) await collect(child, name, files, unread);
    }
  } catch (error) {
    unread.push(`${name}: cannot be read (${error.message})`);
  }
}
