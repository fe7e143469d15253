// What happens when the page is about to be left. No module: it runs before Gradio's scripts, so that it is asked first.
//
// Gradio's client, when it hears that the page may be left, cuts off every answer that it waits for, and says in the
// console that they broke off. Whoever is asked and stays would never get them. It is not told: when a page goes, the
// browser ends what still runs.

window.addEventListener("beforeunload", (event) => {
  event.stopImmediatePropagation();
  // Whoever has something to lose prevents this one.
  const free = document.dispatchEvent(new Event("mammo-leaving", { cancelable: true }));
  if (!free) event.preventDefault();
});
