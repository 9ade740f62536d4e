/**
 * Talking to the service: one place for the key, for problem answers, and for what cannot be reached.
 */

import { save } from "./dom.js";

const KEY = "ragflow.key";
const PREFIX = "/api/v1";
/** Types that hold no script: a blob is shown in the name of the service. */
const SHOWN = /^(application\/pdf|image\/(?!svg))/;

/** The key lives as long as the tab: it is never written where another session could read it. */
export const key = {
  get: () => sessionStorage.getItem(KEY) ?? "",
  set: (value) => sessionStorage.setItem(KEY, value.trim()),
  forget: () => sessionStorage.removeItem(KEY),
};

/** An answer that is no answer: RFC 9457 fields, or status 0 if nothing could be reached. */
export class Problem extends Error {
  /** @param {number} status @param {Object<string, any>} [fields] @param {number} [retryAfter] seconds, 0 if not told */
  constructor(status, fields = {}, retryAfter = 0) {
    super(fields.detail || fields.title || String(status));
    this.status = status;
    this.type = fields.type ?? "";
    this.title = fields.title ?? "";
    this.detail = fields.detail ?? "";
    this.remedy = fields.remedy ?? "";
    this.requestId = fields.request_id ?? "";
    this.errors = Array.isArray(fields.errors) ? fields.errors : [];
    this.retryAfter = retryAfter;
  }
}

/** Seconds until a Retry-After header's moment; it holds seconds or a date. */
function seconds(header) {
  if (!header) return 0;
  const wait = /^\d+$/.test(header) ? Number(header) : (Date.parse(header) - Date.now()) / 1000;
  return Math.max(0, Math.ceil(wait || 0));
}

/**
 * Ask the service.
 * @param {string} path below /api/v1, or as the service gave it
 * @param {{body?: any, signal?: AbortSignal}} [options] with a body it is a POST
 * @returns {Promise<Response>} an answer below 400
 * @throws {Problem} any other; an aborted request throws AbortError
 */
export async function ask(path, { body, signal } = {}) {
  const headers = new Headers({ Accept: "application/json, application/problem+json, */*;q=0.5" });
  if (key.get()) headers.set("Authorization", `Bearer ${key.get()}`);
  if (body !== undefined) headers.set("Content-Type", "application/json");
  const url = path.startsWith(PREFIX) ? path : PREFIX + path;
  let answer;
  try {
    answer = await fetch(url, {
      method: body === undefined ? "GET" : "POST",
      headers,
      body: body === undefined ? undefined : JSON.stringify(body),
      signal,
      credentials: "omit",
    });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Problem(0);
  }
  if (answer.ok) return answer;
  const fields = await answer.json().catch(() => ({}));
  throw new Problem(answer.status, fields, seconds(answer.headers.get("Retry-After")));
}

/** As {@link ask}; the answer's JSON. */
export const json = async (path, options) => (await ask(path, options)).json();

/** As {@link ask}; the answer's bytes. */
export const blob = async (path, options) => (await ask(path, options)).blob();

/** Address of the original file; `#page=` is heeded by the PDF viewers of browsers. */
export const fileUrl = (sha256, page) => `${PREFIX}/documents/${encodeURIComponent(sha256)}/file#page=${page}`;

/** Address of a page image below /api/v1. */
export function imageUrl(pageId, { point, query, dpi }) {
  const parameters = new URLSearchParams();
  if (point) parameters.set("point", point);
  if (query) parameters.set("q", query);
  parameters.set("dpi", String(dpi));
  return `/pages/${encodeURIComponent(pageId)}.png?${parameters}`;
}

/**
 * Follow a link to a file with the key: a plain link cannot carry it, so the file is fetched and shown as a blob.
 * Without a key the link is followed as it is.
 * @param {MouseEvent|KeyboardEvent} event on the link
 * @param {(problem: Problem) => void} failed
 */
export async function openFile(event, failed) {
  if (!key.get()) return;
  event.preventDefault();
  const link = event.currentTarget;
  // Opened before the wait, as a browser allows new tabs only right after a click.
  const tab = window.open("about:blank", "_blank");
  try {
    const [path, page] = link.getAttribute("href").split("#");
    const content = await blob(path);
    if (!SHOWN.test(content.type)) {
      tab?.close();
      return save(content, path.split("/").at(-2));
    }
    const url = URL.createObjectURL(content);
    if (tab) tab.location.replace(`${url}#${page}`);
    // The viewer of the browser reads the blob for as long as its tab is open.
    const watch = setInterval(() => {
      if (tab && !tab.closed) return;
      URL.revokeObjectURL(url);
      clearInterval(watch);
    }, 5000);
  } catch (error) {
    tab?.close();
    failed(error);
  }
}
