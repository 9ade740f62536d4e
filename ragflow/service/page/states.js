/**
 * What stands where hits would: the beginning, the wait, nothing found, a problem, the question for a key.
 */

import { key } from "./api.js";
import { el, find, icon } from "./dom.js";
import { t } from "./strings.js";

const place = find("#state");
let timer = 0;

/** Show nothing but hits. */
export function clear() {
  clearInterval(timer);
  // What had the focus goes away: the section takes it, so that the keyboard stays where it was.
  if (place.contains(document.activeElement)) find("#results").focus();
  place.replaceChildren();
  find("#results").removeAttribute("aria-busy");
}

function put(...nodes) {
  clear();
  place.replaceChildren(el("div", { class: "state" }, ...nodes));
}

/** Nothing was asked yet. */
export function first() {
  const [before, after] = t("first_how", { key: "\u0000" }).split("\u0000");
  put(el("p", { class: "lead" }, t("first")), el("p", {}, before, el("kbd", {}, "?"), after));
}

/** The outlines of hits to come. */
export function loading() {
  clear();
  find("#results").setAttribute("aria-busy", "true");
  const bar = (size) => el("span", { class: size });
  const one = () => el("div", { class: "skeleton" }, el("div", {}, bar("short"), bar(""), bar(""), bar(""), bar("half")), bar("sheet"));
  place.replaceChildren(el("div", { "aria-hidden": "true" }, one(), one(), one()));
}

/** Nothing was found. @param {{widen?: Function, mode?: Function}} offers what could be done, where it could help */
export function none({ widen, mode }) {
  const offer = (words, act) => act && el("li", {}, el("button", { type: "button", class: "link", onclick: act }, words));
  put(el("p", { class: "lead" }, t("none")), el("p", {}, t("none_help")),
    el("ul", {}, el("li", {}, t("none_words")), offer(t("none_filters"), widen), offer(t("none_mode"), mode)));
}

/** Ask for a key. @param {(value: string) => void} use */
export function askKey(use) {
  const wrong = Boolean(key.get());
  const input = el("input", { id: "key", type: "password", required: true, autocomplete: "off", spellcheck: "false", placeholder: "rfk_…",
    "aria-describedby": "key-help", "aria-invalid": wrong ? "true" : null });
  const submit = (event) => {
    event.preventDefault();
    if (input.value.trim()) use(input.value);
  };
  put(el("form", { class: "key-form", onsubmit: submit },
    el("p", { class: "lead" }, icon("key"), t("key_title")),
    wrong && el("p", { class: "bad", role: "alert" }, icon("broken"), t("key_wrong")),
    el("p", { id: "key-help" }, t("key_help")),
    el("label", { for: "key" }, t("key_label")), el("div", { class: "row" }, input, el("button", { class: "primary" }, t("key_use")))));
  input.focus();
}

/**
 * A problem, what to do about it, and a way to try again; it is tried again by itself where the service says when.
 * @param {import("./api.js").Problem} problem @param {() => void} retry
 */
export function failed(problem, retry) {
  const again = el("button", { type: "button", class: "primary", onclick: retry }, t("retry"));
  if (problem.status === 0) {
    put(el("p", { class: "lead", role: "alert" }, icon("warn"), t("offline")), el("p", {}, t("offline_help")), again);
    return;
  }
  const nothing = problem.type.endsWith(":nothing-live");
  const words = (text) => text && el("p", { lang: "en" }, text);
  put(
    el("p", { class: "lead", role: "alert", lang: !nothing && problem.title && "en" }, icon("warn"),
      nothing ? t("nothing") : problem.title || t("failed")),
    nothing ? el("p", {}, t("nothing_help")) : words(problem.detail),
    ...problem.errors.slice(1).map((error) => words(`${error.loc?.join(".")}: ${error.msg}`)),
    problem.remedy && el("p", { class: "remedy" }, el("b", {}, `${t("remedy")} `), el("span", { lang: "en" }, problem.remedy)),
    again,
    problem.requestId && el("p", { class: "note" }, `${t("details")} `, el("code", {}, problem.requestId)),
  );
  if (problem.status === 429) countDown(again, problem.retryAfter || 1, retry);
}

function countDown(button, seconds, retry) {
  let left = seconds;
  button.disabled = true;
  const tell = () => (button.textContent = t("wait", { n: left }));
  tell();
  timer = setInterval(() => {
    left -= 1;
    if (left > 0) return tell();
    clearInterval(timer);
    retry();
  }, 1000);
}
