// Batches of files that this browser tab has sent, until the first study of each arrives in the library: such a study
// is opened here, and in no other page.

const KEY = "mammo-sent";

export function sentBatches() {
  return JSON.parse(sessionStorage.getItem(KEY) ?? "[]");
}

export function rememberSent(batch) {
  sessionStorage.setItem(KEY, JSON.stringify([...sentBatches(), batch]));
}

/** Whether this page sent the batch and has not opened it yet; asked once, it is forgotten. */
export function takeSent(batch) {
  const sent = sentBatches();
  sessionStorage.setItem(KEY, JSON.stringify(sent.filter((other) => other !== batch)));
  return sent.includes(batch);
}
