/* Sets theme before anything is drawn; a plain script in the head, so that a dark page does not flash white. */
(() => {
  const chosen = localStorage.getItem("ragflow.theme");
  if (chosen === "light" || chosen === "dark") document.documentElement.dataset.theme = chosen;
})();
