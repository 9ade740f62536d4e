/**
 * What is asked: it lives in the page's address, so that back, forward, reload and sharing work.
 */

const DEFAULTS = {
  q: "",
  mode: "hybrid",
  language: "",
  engine: "",
  document: "",
  min_score: "",
  per_document: "",
  diverse: "",
  top: "10",
};
/** Named in the form; `document` and `top` are set by buttons. */
export const FIELDS = ["mode", "language", "engine", "min_score", "per_document", "diverse"];
const CONDITIONS = { language: "language", engine: "engine", document: "document_key" };
const DIVERSITY = 0.5;
export const MOST = 100;

/** @typedef {typeof DEFAULTS} Query values as they stand in the address and in the form */

/** @returns {Query} */
export function fromAddress(search = location.search) {
  const given = new URLSearchParams(search);
  return Object.fromEntries(Object.entries(DEFAULTS).map(([name, value]) => [name, given.get(name) ?? value]));
}

/** @param {Query} query @returns {string} the address; defaults are left out */
export function toAddress(query) {
  const changed = Object.entries(query).filter(([name, value]) => value !== "" && value !== DEFAULTS[name]);
  return changed.length ? `/?${new URLSearchParams(changed)}` : "/";
}

/** @param {Query} query @returns {Object<string, any>} the body of a search */
export function toRequest(query) {
  const where = {};
  for (const [name, field] of Object.entries(CONDITIONS)) if (query[name]) where[field] = query[name];
  const request = { query: query.q, mode: query.mode, top: Number(query.top) || Number(DEFAULTS.top) };
  if (Object.keys(where).length) request.where = where;
  if (query.min_score !== "") request.min_score = Number(query.min_score);
  if (query.per_document !== "") request.per_document = Number(query.per_document);
  if (query.diverse) request.diversity = DIVERSITY;
  // The boxes of the words place the strip of the page that a narrow screen shows.
  if (matchMedia("(max-width: 48rem)").matches) request.words = true;
  return request;
}

/** How many filters narrow or change the answer. */
export const filtersOn = (query) => [...FIELDS, "document"].filter((name) => query[name] !== DEFAULTS[name]).length;

/** The same question without any filter. */
export const unfiltered = (query) => ({ ...DEFAULTS, q: query.q });
