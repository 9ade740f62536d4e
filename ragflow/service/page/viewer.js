/**
 * The larger view of a page: a dialog that walks through the pages of the document.
 */

import { fileUrl, imageUrl, json, openFile } from "./api.js";
import { el, find } from "./dom.js";
import { extent } from "./hits.js";
import { show } from "./images.js";
import { t } from "./strings.js";
import { confidence, engineName } from "./trust.js";
import { marked, paragraphs } from "./words.js";

const DPI = 144;
const dialog = find("#viewer");
const figure = find("figure", dialog);
const note = find("figure .note", dialog);
const reading = find(".reading", dialog);
const file = find("#viewer-file");
const button = (name) => find(`button[name=${name}]`, dialog);

/** What is shown: null while the dialog is closed. */
let shown = null;
let request = new AbortController();

/**
 * Show the page of a hit; the focus returns to its opener when the view is closed.
 * @param {any} hit @param {{query: string, stems: Set<string>, failed: Function}} context
 */
export async function view(hit, context) {
  shown = { hit, context, page: hit.page_number, pages: null, list: null, opener: document.activeElement };
  find("#viewer-title").textContent = hit.document.title || hit.document.key;
  dialog.showModal();
  figure.focus();
  draw();
  const mine = shown;
  mine.list = json(`/documents/${hit.document.sha256}`).then(
    ({ pages }) => (mine.pages = pages),
    () => null, // without the list there is no way to other pages; this page is shown all the same
  );
  await mine.list;
  if (shown === mine) navigation();
}

/** Draw what of the view depends on the page. */
function draw() {
  const { hit, context, page } = shown;
  request.abort();
  request = new AbortController();
  const { signal } = request;
  navigation();
  file.href = fileUrl(hit.document.sha256, page);
  const image = find("img", figure);
  image.alt = "";
  image.hidden = true;
  note.textContent = t("image_wait");
  figure.setAttribute("aria-busy", "true");
  const pageId = `${hit.document.sha256}-${page}`;
  const point = page === hit.page_number ? hit.point_id : "";
  show(image, imageUrl(pageId, { point, query: context.query, dpi: DPI }), signal)
    .then(() => {
      image.hidden = false;
      image.alt = t("image_alt", { n: page, title: find("#viewer-title").textContent });
      note.textContent = "";
      const top = point ? extent(hit.boxes)[0] : 0;
      figure.scrollTo({ top: Math.max(0, image.offsetTop + top * image.offsetHeight - 60) });
    })
    .catch((problem) => {
      if (!signal.aborted) note.textContent = problem.message || t("image_failed");
    })
    .finally(() => signal.aborted || figure.removeAttribute("aria-busy"));
  reading.replaceChildren();
  if (!reading.hidden) readText(pageId, signal);
}

/** The text as it was read, beside the image, so that both can be compared. */
async function readText(pageId, signal) {
  try {
    const page = await json(`/pages/${pageId}`, { signal });
    const how = { blank: t("blank_page"), quarantined: t("quarantined_page", { reason: page.reason ?? "–" }) }[page.status];
    const lang = page.language !== "unknown" && page.language;
    const paragraph = (text) => el("p", { class: "text", lang }, marked(text, shown.context.stems));
    reading.replaceChildren(
      el("p", { class: "how" }, ...(how ? [how] : [engineName(page.engine), " · ", confidence(page.confidence)])),
      ...paragraphs(page.text ?? "").map(paragraph),
      !page.text && !how ? t("no_text") : "",
    );
  } catch (problem) {
    if (!signal.aborted) reading.replaceChildren(el("p", { class: "bad" }, problem.message || t("offline")));
  }
}

const last = () => (shown.pages ? Math.max(...shown.pages.map((page) => page.page_number)) : null);

function navigation() {
  find("#viewer-page").textContent = last() ? t("page_of", { n: shown.page, of: last() }) : t("page", { n: shown.page });
  for (const [name, beyond] of [["previous", shown.page <= 1], ["next", shown.page >= (last() ?? 0)]]) {
    button(name).setAttribute("aria-label", t(name));
    button(name).title = t(name);
    // aria-disabled, not disabled: a disabled button would drop the focus.
    button(name).setAttribute("aria-disabled", String(beyond));
  }
}

/** Go to another page of the document. @param {number} step */
async function go(step) {
  const mine = shown;
  await mine.list;
  const page = mine.page + step;
  if (shown !== mine || !mine.pages || page < 1 || page > last()) return;
  shown.page = page;
  draw();
}

function toggle(name, on) {
  button(name).setAttribute("aria-pressed", String(on));
  return on;
}

/** Listen once, when the page starts. */
export function startViewer() {
  button("previous").addEventListener("click", () => go(-1));
  button("next").addEventListener("click", () => go(1));
  button("close").addEventListener("click", () => dialog.close());
  button("zoom").addEventListener("click", () => figure.classList.toggle("large", toggle("zoom", !figure.classList.contains("large"))));
  button("text").addEventListener("click", () => {
    reading.hidden = !toggle("text", reading.hidden);
    if (!reading.hidden) readText(`${shown.hit.document.sha256}-${shown.page}`, request.signal);
  });
  file.addEventListener("click", (event) => openFile(event, (problem) => (note.textContent = problem.message || t("offline"))));
  dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
  dialog.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const step = { ArrowLeft: -1, p: -1, ArrowRight: 1, n: 1 }[event.key];
    if (step) {
      event.preventDefault();
      go(step);
    }
  });
  dialog.addEventListener("close", () => {
    request.abort();
    find("img", figure).removeAttribute("src");
    const { opener } = shown;
    shown = null;
    opener?.focus();
  });
}
