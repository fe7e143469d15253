// What somebody has typed into a call form and not recorded yet: one draft per study, kept by this browser tab over
// redraws, other exams and a reload.

const PREFIX = "mammo-draft-";

/** The fields of a draft, [[name, value, checked], ...]; empty where there is none. */
export function draftOf(study) {
  return JSON.parse(sessionStorage.getItem(PREFIX + study) ?? "[]");
}

/** Keeps the fields of a form; a form with nothing in it is no draft. */
export function keepDraft(study, fields) {
  if (fields.some(([, value, checked]) => (checked === null ? value : checked))) {
    sessionStorage.setItem(PREFIX + study, JSON.stringify(fields));
  } else sessionStorage.removeItem(PREFIX + study);
}

/** Throws away a draft that was recorded, unless somebody has typed on since. */
export function draftRecorded(study, fields) {
  if (JSON.stringify(draftOf(study)) === JSON.stringify(fields)) sessionStorage.removeItem(PREFIX + study);
}

export function hasDraft(study) {
  return sessionStorage.getItem(PREFIX + study) !== null;
}

export function anyDraft() {
  return Object.keys(sessionStorage).some((key) => key.startsWith(PREFIX));
}
