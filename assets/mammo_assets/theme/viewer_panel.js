// The viewer inside the app: a prior put beside the exam is shown beside it at once, and an exam that was opened while
// its images were still arriving is hung anew when it has more of them.

import { mountGradio } from "../viewer/viewer.js";

export function mount(element, props, trigger, watch) {
  const viewer = mountGradio(element, props, trigger, watch);
  if (!viewer) return;
  let before = seen(props.value);
  watch("value", () => {
    const now = seen(props.value);
    const same = now.study === before.study;
    if (now.prior && !(same && before.prior)) viewer.set({ layout: "prior" });
    else if (same && (before.prior > now.prior || now.images > before.images)) viewer.hangAnew();
    before = now;
  });
}

function seen({ study, images }) {
  const prior = images.some((image) => image.prior);
  return { study, prior, images: images.filter((image) => !image.prior).length };
}
