/**
 * Building the page: nodes only, never markup from data.
 */

const SVG = "http://www.w3.org/2000/svg";

/**
 * Make an element. Strings among the children become text nodes; null and false are left out.
 * @param {string} tag
 * @param {Object<string, any>} [attributes] `on…` functions listen, `class` and all others are attributes
 * @param {...(Node|string|null|false|undefined)} children
 * @returns {HTMLElement}
 */
export function el(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (typeof value === "function") node.addEventListener(name.slice(2), value);
    else node.setAttribute(name, value === true ? "" : String(value));
  }
  node.append(...children.filter((child) => child !== null && child !== undefined && child !== false));
  return node;
}

/**
 * An icon of the sprite in index.html, hidden from screen readers: the words beside it say the same.
 * @param {string} name id of the symbol
 * @returns {SVGElement}
 */
export function icon(name) {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("class", "icon");
  svg.setAttribute("aria-hidden", "true");
  const use = document.createElementNS(SVG, "use");
  use.setAttribute("href", `#i-${name}`);
  svg.append(use);
  return svg;
}

/** @param {string} selector @param {ParentNode} [root] @returns {any} the element, which must be there */
export function find(selector, root = document) {
  const node = root.querySelector(selector);
  if (!node) throw new Error(`The page has no ${selector}.`);
  return node;
}

/** Copy text, and say so on the button for a moment. */
export async function copy(text, button, done) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    // Without a secure origin there is no clipboard: the text is selected, so that Ctrl+C takes it.
    getSelection().selectAllChildren(button.previousElementSibling);
    return;
  }
  const label = button.lastChild;
  const before = label.textContent;
  label.textContent = done;
  setTimeout(() => (label.textContent = before), 1600);
}

/** Hand a blob to the browser as a file to keep. */
export function save(blob, name) {
  const url = URL.createObjectURL(blob);
  el("a", { href: url, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}
