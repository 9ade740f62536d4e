/**
 * Page images: fetched when they come near the screen (with the key, which a plain `src` cannot carry), a few at a time.
 */

import { blob } from "./api.js";

const AT_ONCE = 3;
const TRIES = 3;
const LONGEST_WAIT_S = 30;

const waiting = [];
let running = 0;

const pause = (seconds) => new Promise((resolve) => setTimeout(resolve, seconds * 1000));

/** Fetch one image; what the service asks to be done later is done later. */
async function fetched(url, signal) {
  for (let attempt = 1; ; attempt++) {
    try {
      return await blob(url, { signal });
    } catch (problem) {
      const later = problem.status === 429 || problem.status === 503;
      if (!later || attempt === TRIES || problem.retryAfter > LONGEST_WAIT_S) throw problem;
      await pause(problem.retryAfter || attempt);
      signal.throwIfAborted();
    }
  }
}

/** Put a page image into an `<img>`; its blob is let go as soon as it is drawn. */
export async function show(image, url, signal) {
  const source = URL.createObjectURL(await fetched(url, signal));
  try {
    image.src = source;
    await image.decode();
  } finally {
    URL.revokeObjectURL(source);
  }
}

async function work() {
  if (running >= AT_ONCE || !waiting.length) return;
  const { image, url, signal, done } = waiting.shift();
  running++;
  try {
    if (!signal.aborted) {
      await show(image, url, signal);
      done(null);
    }
  } catch (problem) {
    if (!signal.aborted) done(problem);
  } finally {
    running--;
    work();
  }
  work();
}

/**
 * Show an image once its frame comes near the screen.
 * @param {HTMLElement} frame watched; @param {HTMLImageElement} image @param {string} url
 * @param {AbortSignal} signal aborted when the hits are replaced
 * @param {(problem: ?Error) => void} done
 */
export function showWhenNear(frame, image, url, signal, done) {
  const watch = new IntersectionObserver(
    (entries) => {
      if (!entries.some((entry) => entry.isIntersecting)) return;
      watch.disconnect();
      waiting.push({ image, url, signal, done });
      work();
    },
    { rootMargin: "400px" },
  );
  signal.addEventListener("abort", () => watch.disconnect());
  watch.observe(frame);
}
