/**
 * The keys of the page.
 */

import { el, find } from "./dom.js";
import { t } from "./strings.js";

const help = find("#shortcuts");
const KEYS = [
  [["/"], "k_search"],
  [["j", "k", "↓", "↑"], "k_hits"],
  [["Enter"], "k_open"],
  [["o"], "k_file"],
  [["c"], "k_chain"],
  [["←", "→"], "k_pages"],
  [["Esc"], "k_close"],
  [["?"], "k_help"],
];

const articles = () => [...document.querySelectorAll("#hits article")];
const now = () => document.activeElement?.closest("#hits article") ?? null;

/** Move the focus among the hits. @param {number} step */
function move(step) {
  const hits = articles();
  if (!hits.length) return false;
  const at = hits.indexOf(now());
  if (at < 0 && step < 0) return false;
  if (at === 0 && step < 0) find("#q").focus();
  else hits[Math.min(hits.length - 1, at + step)].focus();
  // At a jump the article would stick to the edge of the screen, its title out of sight.
  now()?.scrollIntoView({ block: "nearest" });
  return true;
}

/** Show the keys, in the language of now. */
export function showKeys() {
  find("#shortcut-list").replaceChildren(
    ...KEYS.map(([keys, words]) =>
      el("div", {}, el("dt", {}, ...keys.flatMap((name) => [el("kbd", {}, name), " "])), el("dd", {}, t(words)))),
  );
  help.showModal();
}

/** @returns {boolean} whether the key did something */
function act(event) {
  const { key, target } = event;
  const field = target.matches("input, select, textarea");
  if (target.id === "q" && key === "ArrowDown") return move(1);
  if (target.id === "q" && key === "Escape" && !target.value) return target.blur(), true;
  if (field) return false;
  const hit = now();
  if (key === "/") return find("#q").select(), find("#q").focus(), true;
  if (key === "?") return showKeys(), true;
  if (key === "j" || (key === "ArrowDown" && hit)) return move(1);
  if (key === "k" || (key === "ArrowUp" && hit)) return move(-1);
  if (!hit) return false;
  if (key === "Enter" && target === hit) return find(".title", hit).click(), true;
  if (key === "o") return find("a.file", hit).click(), true;
  if (key === "c") return find(".chain summary", hit).click(), true;
  return false;
}

/** Listen once, when the page starts. */
export function startKeyboard() {
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing || document.querySelector("dialog[open]")) return;
    if (act(event)) event.preventDefault();
  });
  find("#help").addEventListener("click", showKeys);
  find("button[name=close]", help).addEventListener("click", () => help.close());
  help.addEventListener("click", (event) => event.target === help && help.close());
}
