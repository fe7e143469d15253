// Sends a checkpoint, or a run's folder, to the server: the file itself and the evidence beside it, nothing else.

import { post, tell } from "./server.js";

/** Sends what was chosen in `input`, then `send`s its action with the model's hash or why it was refused. */
export async function sendModel(input, send) {
  const { send: address, action, beside } = input.dataset;
  const wanted = beside.split(" ");
  // Of a folder only what lies in it directly: what a run keeps to go on with is large and no evidence.
  const files = [...input.files].filter(
    ({ name, webkitRelativePath }) =>
      webkitRelativePath.split("/").length <= 2 && (name.endsWith(".safetensors") || wanted.includes(name)),
  );
  input.value = "";
  const batch = [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  for (const file of files) {
    tell(`Sending ${file.name} ...`);
    const { problem } = await post(`${address}/${batch}/file?name=${encodeURIComponent(file.name)}`, file);
    if (problem) return send(action, { problem });
  }
  tell("Looking at the model ...");
  const { problem, text } = await post(`${address}/${batch}/done`, "");
  tell(problem ? "The model was refused." : "The model is in the library.");
  send(action, { problem, model: text });
}
