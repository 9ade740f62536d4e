/**
 * The search page: what is asked lives in the address, the answer in `answer`; everything else is drawn from these.
 */

import { json, key } from "./api.js";
import { el, find } from "./dom.js";
import { hitItem } from "./hits.js";
import { startKeyboard } from "./keyboard.js";
import { FIELDS, MOST, filtersOn, fromAddress, toAddress, toRequest, unfiltered } from "./query.js";
import { drawRelease, drawnVersion, forgetRelease, loadRelease } from "./release.js";
import * as states from "./states.js";
import { choose, current, languageName, number, startLanguage, t } from "./strings.js";
import { engineName } from "./trust.js";
import { startViewer, view } from "./viewer.js";
import { stems } from "./words.js";

const form = find("#search-form");
const count = find("#count");
const list = find("#hits");
const more = find("#more");

let query = fromAddress();
/** The last answer of the service, or the problem that stood in its place; null before the first. */
let answer = null;
let problem = null;
let searching = new AbortController();
let drawing = new AbortController();
let filters = { language: [], engine: [] };
let busy = false;

/** Ask what the address asks. @param {{keep?: boolean}} [options] keep: the hits stay until the new ones are there */
async function search({ keep = false } = {}) {
  searching.abort();
  searching = new AbortController();
  const { signal } = searching;
  fillForm();
  answer = problem = null;
  document.title = query.q ? `${query.q} · ragflow` : "ragflow";
  if (!query.q.trim()) {
    await release();
    if (!signal.aborted) draw();
    return;
  }
  count.textContent = t("loading");
  busy = true;
  if (!keep) {
    emptyList();
    states.loading();
  }
  try {
    const found = await json("/search", { body: toRequest(query), signal });
    if (signal.aborted) return;
    answer = found;
  } catch (error) {
    if (signal.aborted) return;
    problem = error;
  }
  draw();
  if (answer && answer.version !== drawnVersion()) release(false);
}

/** Learn what is live. @param {boolean} [telling] whether a failure takes the place of the hits */
async function release(telling = true) {
  try {
    const { ledger } = await loadRelease();
    filters = { language: Object.keys(ledger?.languages ?? {}), engine: Object.keys(ledger?.engines ?? {}) };
    fillForm();
  } catch (error) {
    forgetRelease();
    if (telling) problem = error;
  }
}

/** Ask something else, and remember where we were. @param {Partial<typeof query>} changes */
function go(changes, options) {
  query = { ...query, ...changes };
  const address = toAddress(query);
  if (address !== location.pathname + location.search) history.pushState(null, "", address);
  return search(options);
}

/** Draw the answer, or what stands in its place. */
function draw() {
  busy = false;
  drawing.abort();
  drawing = new AbortController();
  find("#forget").hidden = !key.get();
  emptyList();
  count.textContent = "";
  states.clear();
  if (problem) return drawProblem();
  if (!answer) {
    find("#live").open ||= !matchMedia("(max-width: 40rem)").matches;
    return states.first();
  }
  const { hits, version, took_ms: took } = answer;
  const ms = number(took, { maximumFractionDigits: 0 });
  count.textContent = t("searched", { hits: t("hits", { n: hits.length }), ms, version });
  if (!hits.length) {
    states.none({
      widen: filtersOn(query) ? () => go(unfiltered(query)) : undefined,
      mode: query.mode !== "hybrid" ? () => go({ mode: "hybrid" }) : undefined,
    });
    return;
  }
  const context = {
    query: query.q,
    stems: stems(query.q),
    signal: drawing.signal,
    failed: tellFailure,
    onlyIn: (document) => go({ document, top: "10" }),
  };
  context.view = (hit) => view(hit, context);
  list.replaceChildren(...hits.map((hit, index) => hitItem(hit, index + 1, context)));
  more.hidden = hits.length < Number(query.top) || Number(query.top) >= MOST;
  if (hits[0].document.key === query.document && hits[0].document.title)
    find("#only b").textContent = `${hits[0].document.title} (${query.document})`;
}

function emptyList() {
  // The hit that had the focus goes away: the section takes it.
  if (list.contains(document.activeElement)) find("#results").focus();
  list.replaceChildren();
  more.hidden = true;
}

function drawProblem() {
  if (problem.status === 401) {
    forgetRelease();
    states.askKey((value) => {
      key.set(value);
      search();
    });
    return;
  }
  states.failed(problem, () => search());
}

/** Something beside the hits failed (a file, a proof): said above them, the hits stay. */
function tellFailure(error) {
  if (error.status === 401) {
    problem = error;
    draw();
    return;
  }
  count.replaceChildren(el("span", { class: "bad" }, error.status === 0 ? t("offline") : `${error.title}. ${error.detail}`));
  count.scrollIntoView({ block: "nearest" });
}

/** Put the query into the form. */
function fillForm() {
  find("#q").value = query.q;
  const names = { language: languageName, engine: engineName };
  for (const [field, name] of Object.entries(names)) {
    // A value of the address is offered even if the live version does not have it: the form shows what is asked.
    const values = new Set([...filters[field], ...(query[field] ? [query[field]] : [])]);
    const options = [...values].map((value) => el("option", { value }, name(value)));
    form.elements[field].replaceChildren(el("option", { value: "" }, t("any")), ...options);
  }
  for (const field of FIELDS) form.elements[field].value = query[field];
  const on = filtersOn(query);
  find("#filters-on").textContent = on ? t("filters_on", { on, n: on }) : "";
  find("#only").hidden = !query.document;
  find("#only b").textContent = query.document;
}

const asked = () => Object.fromEntries(["q", ...FIELDS].map((name) => [name, form.elements[name].value.trim()]));

function start() {
  startLanguage();
  startViewer();
  startKeyboard();
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    go({ ...asked(), top: "10" });
  });
  form.addEventListener("change", (event) => {
    if (event.target.name !== "q" && event.target.checkValidity() && query.q) go({ ...asked(), q: query.q, top: "10" });
  });
  find("#only button").addEventListener("click", () => go({ document: "" }));
  more.addEventListener("click", async () => {
    const shown = list.children.length;
    await go({ top: String(Math.min(MOST, Number(query.top) * 2)) }, { keep: true });
    list.children[Math.min(shown, list.children.length - 1)]?.querySelector("article").focus();
  });
  find("#forget").addEventListener("click", () => {
    key.forget();
    forgetRelease();
    search();
  });
  find("#theme-toggle").addEventListener("click", () => {
    const root = document.documentElement;
    const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
    root.dataset.theme = dark ? "light" : "dark";
    localStorage.setItem("ragflow.theme", root.dataset.theme);
  });
  for (const button of document.querySelectorAll(".switch button"))
    button.addEventListener("click", () => {
      choose(button.lang);
      pressLanguage();
      fillForm();
      drawRelease();
      if (!busy) draw();
    });
  find("#chip").addEventListener("click", () => (find("#live").open = true));
  find("#filters").open = matchMedia("(min-width: 60rem)").matches;
  addEventListener("popstate", () => {
    // A jump within the page (the skip link) is one of these, too.
    if (toAddress(fromAddress()) === toAddress(query)) return;
    query = fromAddress();
    search();
  });
  addEventListener("online", () => problem?.status === 0 && search());
  pressLanguage();
  search();
  if (!query.q) find("#q").focus();
}

function pressLanguage() {
  for (const button of document.querySelectorAll(".switch button"))
    button.setAttribute("aria-pressed", String(button.lang === current()));
}

start();
