/**
 * How far a hit can be trusted: who read it and how surely, its proof, and the chain back to the stored file.
 */

import { blob, json } from "./api.js";
import { copy, el, icon, save } from "./dom.js";
import { percent, t } from "./strings.js";

const ENGINES = { tesseract: "Tesseract", rapidocr: "RapidOCR", doctr: "docTR" };
const SURE = [
  [0.97, "sure_4"],
  [0.9, "sure_3"],
  [0.75, "sure_2"],
  [0, "sure_1"],
];

/** @param {?string} engine of a page @returns {string} for a person */
export function engineName(engine) {
  if (!engine) return "–";
  if (engine === "text_layer") return t("text_layer");
  const engines = engine.split("+").map((name) => ENGINES[name] ?? name).join(" + ");
  return t("ocr", { engines });
}

/** @param {?number} value 0 to 1 @returns {HTMLElement} in words, as a bar, and in percent */
export function confidence(value) {
  if (typeof value !== "number") return el("span", {}, "–");
  const [, words] = SURE.find(([least]) => value >= least) ?? SURE.at(-1);
  const bar = el("meter", { min: "0", max: "1", low: "0.75", high: "0.9", optimum: "1", value: String(value), "aria-hidden": "true" });
  return el("span", { class: value < 0.75 ? "bad" : null }, bar, ` ${percent(value)}, ${t(words)}`);
}

const pair = (name, ...values) => el("div", {}, el("dt", {}, name), el("dd", {}, ...values));

/** What a hit rests on; see `hitItem` for the context. */
export function trust(hit, context) {
  const facts = el("dl", { class: "facts" },
    pair(t("read_by"), engineName(hit.engine)),
    pair(t("confidence"), confidence(hit.confidence)),
    pair(t("version"), hit.collection_version),
    pair(t("proof_id"), el("code", {}, hit.proof_id),
      el("button", { type: "button", class: "link", onclick: (event) => copy(hit.proof_id, event.currentTarget, t("copied")) },
        icon("copy"), el("span", { "aria-live": "polite" }, t("copy"))),
      el("button", { type: "button", class: "link", onclick: () => downloadProof(hit).catch(context.failed) },
        icon("download"), t("proof"))));
  return el("div", { class: "trust" }, facts, alsoIn(hit, context), similar(hit), chain(hit));
}

async function downloadProof(hit) {
  save(await blob(`/proofs/${encodeURIComponent(hit.proof_id)}`), `proof-${hit.point_id}.json`);
}

function alsoIn(hit, context) {
  if (!hit.also_in?.length) return null;
  const keys = hit.also_in.map((key) =>
    el("li", {}, el("button", { type: "button", class: "link", onclick: () => context.onlyIn(key) }, key)));
  return el("details", { class: "also" }, el("summary", {}, t("also", { n: keys.length })), el("ul", {}, ...keys));
}

/** Near-identical hits that the service folded into this one: named once somebody asks. */
function similar(hit) {
  if (!hit.similar?.length) return null;
  const list = el("ul");
  const details = el("details", { class: "similar" }, el("summary", {}, t("similar", { n: hit.similar.length })), list);
  once(details, list, async () => {
    const found = await Promise.all(hit.similar.map((point) => json(tracePath(point, hit.collection_version))));
    return found.map(({ payload }) => el("li", {}, payload.title || payload.document_key, ", ", t("page", { n: payload.page_number })));
  });
  return details;
}

const tracePath = (point, version) => `/trace/${encodeURIComponent(point)}?version=${encodeURIComponent(version)}`;

/** The chain from the vector down to the bytes, recomputed by the service when it is opened. */
function chain(hit) {
  const body = el("div", { "aria-live": "polite" });
  const details = el("details", { class: "chain" }, el("summary", {}, t("trace")), body);
  once(details, body, async () => chainNodes(await json(tracePath(hit.point_id, hit.collection_version))));
  return details;
}

/** Fill a disclosure when it is opened first; after a failure, when it is opened again. */
function once(details, body, make) {
  let filled = false;
  details.addEventListener("toggle", async () => {
    if (!details.open || filled) return;
    filled = true;
    body.replaceChildren(el("p", { class: "note" }, t("trace_wait")));
    try {
      body.replaceChildren(...(await make()));
    } catch (problem) {
      filled = false;
      body.replaceChildren(el("p", { class: "bad", lang: problem.message ? "en" : null }, icon("warn"), problem.message || t("offline")));
    }
  });
}

function chainNodes(trace) {
  const broken = trace.links.filter((link) => !link.holds).length;
  const verdict = broken ? t("trace_broken", { n: broken }) : t("trace_holds", { n: trace.links.length });
  const rows = trace.links.map((link) =>
    el("li", { class: link.holds ? "good" : "bad" },
      icon(link.holds ? "holds" : "broken"), el("b", {}, t(link.holds ? "holds" : "broken")),
      el("span", { lang: "en" }, link.name), hashes(link)));
  return [
    el("p", { class: broken ? "bad verdict" : "good verdict" }, icon(broken ? "broken" : "holds"), verdict),
    trace.present === false && el("p", { class: "bad" }, icon("warn"), t("gone")),
    el("ol", { class: "links" }, ...rows),
  ].filter(Boolean);
}

function hashes({ recorded, found, holds }) {
  const short = (value) => el("code", { title: value }, value.length > 20 ? `${value.slice(0, 16)}…` : value);
  if (holds) return short(recorded);
  return el("span", {}, `${t("recorded")} `, short(recorded), ` ${t("found")} `, short(found));
}
