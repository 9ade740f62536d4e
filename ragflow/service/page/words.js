/**
 * Marking the words of a query in a text: nodes, so that a text is never read as markup.
 */

import { el } from "./dom.js";

const WORD = /[\p{L}\p{N}\p{M}]+/gu;
const COMMON = new Set(
  ("a an and are as at be but by for from had has have he her his how i if in into is it its no not of on or she so such " +
    "that the their then there these they this to was were what when where which who why will with " +
    "au aux avec ce ces dans de des du elle en est et eux il ils je la le les leur leurs lui ma mais me mes mon ne nos notre " +
    "nous on ou où par pas pour qu que quel quelle qui sa se ses son sur ta te tes toi ton tu un une vos votre vous l d s c j n t y")
    .split(" "),
);
const ENDING = /(?:issements?|ements?|ations?|ments?|ings?|ions?|ies|ees|eaux|aux|er|ez|es|ed|ly|s|x|e|y)$/;

/** Without case, accents and ligatures. */
const plain = (word) => word.normalize("NFKD").replace(/\p{M}/gu, "").toLowerCase().replace(/œ/g, "oe").replace(/æ/g, "ae");

/** A rough stem of English or French: enough to see that "dues" is "due", and "bateaux" is "bateau". */
function stem(word) {
  const bare = plain(word);
  const cut = bare.replace(ENDING, "");
  return cut.length >= 3 ? cut : bare;
}

/** @param {string} query @returns {Set<string>} stems of its words; common ones only if there are no others */
export function stems(query) {
  const words = query.match(WORD) ?? [];
  const telling = words.filter((word) => !COMMON.has(word.toLowerCase()));
  return new Set((telling.length ? telling : words).map(stem));
}

/** The paragraphs of a text that was read line by line. @param {string} text @returns {string[]} */
export const paragraphs = (text) => text.split(/\n\s*\n/).map((part) => part.trim()).filter(Boolean);

/**
 * @param {string} text
 * @param {Set<string>} wanted of {@link stems}
 * @returns {DocumentFragment} the text, with the words that have one of the stems in `<mark>`
 */
export function marked(text, wanted) {
  const fragment = document.createDocumentFragment();
  let done = 0;
  for (const match of text.matchAll(WORD)) {
    if (!wanted.has(stem(match[0]))) continue;
    fragment.append(text.slice(done, match.index), el("mark", {}, match[0]));
    done = match.index + match[0].length;
  }
  fragment.append(text.slice(done));
  return fragment;
}
