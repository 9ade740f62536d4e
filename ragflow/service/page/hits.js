/**
 * One hit: its text with the words marked, its page beside it, and what it rests on.
 */

import { fileUrl, imageUrl, openFile } from "./api.js";
import { el, icon } from "./dom.js";
import { showWhenNear } from "./images.js";
import { number, t } from "./strings.js";
import { trust } from "./trust.js";
import { marked, paragraphs } from "./words.js";

const DPI = 72;

/**
 * @param {any} hit of the service's answer
 * @param {number} rank 1-based
 * @param {object} context
 * @param {string} context.query
 * @param {Set<string>} context.stems of its words
 * @param {AbortSignal} context.signal aborted when the hits are replaced
 * @param {(hit: any) => void} context.view show the page, larger
 * @param {(documentKey: string) => void} context.onlyIn search one document only
 * @param {(problem: any) => void} context.failed
 * @returns {HTMLLIElement}
 */
export function hitItem(hit, rank, context) {
  const id = `hit-${rank}`;
  const name = hit.document.title || hit.document.key;
  const open = () => context.view(hit);
  const language = hit.language && hit.language !== "unknown" ? hit.language : null;
  const article = el(
    "article",
    { id, tabindex: "-1", "aria-labelledby": `${id}-title`, "data-point": hit.point_id },
    el("div", { class: "head" },
      el("p", { class: "rank" },
        el("span", { class: "hidden" }, t("rank", { n: rank })), el("span", { "aria-hidden": "true" }, String(rank))),
      el("h3", { id: `${id}-title` },
        el("button", { type: "button", class: "title", onclick: open }, name), " ",
        el("span", { class: "page" }, t("page", { n: hit.page_number }))),
      el("p", { class: "key" }, hit.document.key)),
    thumbnail(hit, name, open, context),
    el("div", { class: "body" },
      el("blockquote", { lang: language }, ...paragraphs(hit.text).map((text) => el("p", {}, marked(text, context.stems)))),
      el("p", { class: "actions" },
        el("a", { class: "file", href: fileUrl(hit.document.sha256, hit.page_number), target: "_blank", rel: "noopener",
          onclick: (event) => openFile(event, context.failed) }, icon("file"), t("file")),
        el("button", { type: "button", class: "link", onclick: () => context.onlyIn(hit.document.key) }, icon("only"), t("only")),
        el("span", { class: "score" }, `${t("score")} ${number(hit.score, { maximumFractionDigits: 3 })}`)),
      trust(hit, context)),
  );
  return el("li", {}, article);
}

/** The page beside the text. Its button is for the mouse: the title opens the same view, and comes first. */
function thumbnail(hit, name, open, context) {
  const image = el("img", { alt: "" });
  const note = el("span", { class: "note" });
  const label = t("view", { n: hit.page_number });
  const button = el("button", { type: "button", class: "thumb", tabindex: "-1", title: label, "aria-label": label,
    "aria-busy": "true", onclick: open }, image, note);
  // On a narrow screen the frame shows a strip of the page: the part where the words of the query stand first.
  const [top, bottom] = extent(hit.words?.length ? hit.words.slice(0, 1) : hit.boxes);
  image.style.setProperty("--at", `${Math.round(((top + bottom) / 2) * 100)}%`);
  const url = imageUrl(hit.page_id, { point: hit.point_id, query: context.query, dpi: DPI });
  showWhenNear(button, image, url, context.signal, (problem) => {
    button.removeAttribute("aria-busy");
    button.classList.toggle("failed", Boolean(problem));
    if (problem) note.textContent = t("image_failed");
    else image.alt = t("image_alt", { n: hit.page_number, title: name });
  });
  return button;
}

/** Top and bottom of a hit on its page, as fractions. */
export function extent(boxes) {
  if (!boxes?.length) return [0, 0.3];
  return [Math.min(...boxes.map((box) => box[1])), Math.max(...boxes.map((box) => box[3]))];
}
