"""A real browser on the search page: Debian's Chromium, driven by Playwright.

Every visit has a context of its own, and notes what the page asks for and what the browser complains about. When it
ends, no request may have gone to another host, and nothing may stand on the console that the test did not expect.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode, urlsplit

from playwright.sync_api import Browser, BrowserContext, Locator, Page, sync_playwright

CHROMIUM = shutil.which("chromium")
ARGUMENTS = ["--no-sandbox", "--disable-dev-shm-usage"]
PATIENCE_MS = 30_000
"""How long something may take to appear before a test fails; nothing is timed."""
DESKTOP, PHONE = (1280, 900), (360, 740)

MARKED_PIXELS = """image => {
  const canvas = document.createElement("canvas");
  canvas.width = image.naturalWidth;
  canvas.height = image.naturalHeight;
  const pen = canvas.getContext("2d");
  pen.drawImage(image, 0, 0);
  const { data } = pen.getImageData(0, 0, canvas.width, canvas.height);
  let strong = 0, light = 0;
  for (let at = 0; at < data.length; at += 4) {
    const yellow = Math.min(data[at], data[at + 1]) - data[at + 2];
    if (yellow > 120) strong += 1;
    else if (yellow > 30) light += 1;
  }
  return { strong, light };
}"""
"""Counts the pixels of a page image that are marked strongly (words) and lightly (the hit's region)."""

POOR_CONTRAST = """() => {
  const channels = (colour) => colour.match(/[\\d.]+/g).map(Number);
  const linear = (part) => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4);
  const light = (rgb) => {
    const [red, green, blue] = rgb.map((part) => linear(part / 255));
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
  };
  const over = (top, below) => {
    const alpha = top[3] ?? 1;
    return [0, 1, 2].map((part) => top[part] * alpha + below[part] * (1 - alpha));
  };
  const ground = (node) => {
    if (!node) return [255, 255, 255];
    const own = channels(getComputedStyle(node).backgroundColor);
    return (own[3] ?? 1) === 1 ? own : over(own, ground(node.parentElement));
  };
  const ratio = (one, other) => {
    const [high, low] = [light(one), light(other)].sort((a, b) => b - a);
    return (high + 0.05) / (low + 0.05);
  };
  const found = [];
  let looked = 0;
  const look = (node, colour, least, what) => {
    looked += 1;
    const below = ground(node);
    const is = ratio(over(channels(colour), below), below);
    if (is < least) found.push(`${what}: ${is.toFixed(2)} < ${least}`);
  };
  const scope = document.querySelector("dialog[open]") ?? document.body;
  for (const node of scope.querySelectorAll("*")) {
    const idle = node.closest("dialog:not([open]), :disabled, [aria-disabled=true]");
    if (idle || !node.checkVisibility({ visibilityProperty: true })) continue;
    const style = getComputedStyle(node);
    const name = `${node.tagName}.${node.getAttribute("class") ?? ""} ${node.textContent.trim().slice(0, 30)}`;
    const text = [...node.childNodes].some((child) => child.nodeType === 3 && child.data.trim());
    const size = parseFloat(style.fontSize);
    const large = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700);
    if (text && node.tagName !== "NOSCRIPT") look(node, style.color, large ? 3 : 4.5, name);
    if (node.matches("input, select") && !node.closest(".ask")) {
      look(node, style.color, 4.5, `${name} ${node.name}`);
      look(node.parentElement, style.borderTopColor, 3, `border of ${name} ${node.name}`);
      const hint = getComputedStyle(node, "::placeholder").color;
      if (node.placeholder) look(node, hint, 4.5, `placeholder of ${node.name}`);
    }
    if (node.matches("svg.icon")) look(node.parentElement, style.stroke, 3, `icon in ${name}`);
  }
  return { found, looked };
}"""
"""Computes every contrast of what is shown: text 4.5 (large text 3), borders of fields and icons 3 (WCAG 2.2 AA)."""


@dataclass(slots=True)
class Visit:
    """One person on the page.

    Attributes:
        address: of the service.
        requests: addresses that were asked for, in order.
        complaints: errors and warnings of the browser's console, and errors that nobody caught.
    """

    page: Page
    context: BrowserContext
    address: str
    requests: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    def go(self, **query: str | int) -> None:
        """Open the page with a query in its address, and wait until something stands below the search box."""
        self.page.goto(f"{self.address}/?{urlencode(query)}" if query else self.address)
        self.settled()

    def settled(self) -> None:
        """Wait until an answer, or what stands in its place, is drawn."""
        self.page.locator("#results:not([aria-busy])").locator(".state, article").first.wait_for()

    @property
    def hits(self) -> Locator:
        return self.page.locator("#hits article")

    def points(self) -> list[str]:
        """Return the point ids of the hits that are shown."""
        found: list[str] = self.hits.evaluate_all("hits => hits.map(hit => hit.dataset.point)")
        return found

    def query(self) -> str:
        """Return what stands behind the ``?`` in the address of the page."""
        return urlsplit(self.page.url).query

    def focus_is_in(self, selector: str) -> bool:
        """Whether what has the focus is, or lies in, an element."""
        return bool(self.page.evaluate("selector => Boolean(document.activeElement.closest(selector))", selector))

    def poor_contrasts(self) -> list[str]:
        """Return what can hardly be read, with its contrast and what it should be."""
        answer = self.page.evaluate(POOR_CONTRAST)
        assert answer["looked"] > 10, "there is nothing to look at"
        found: list[str] = answer["found"]
        return found

    def overflow(self) -> int:
        """Return by how many pixels the page is wider than the window."""
        return int(self.page.evaluate("document.documentElement.scrollWidth - window.innerWidth"))


@contextmanager
def browser() -> Iterator[Browser]:
    """Start the browser. One is enough for many visits."""
    with sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        try:
            yield found
        finally:
            found.close()


@contextmanager
def visiting(
    browser: Browser,
    address: str,
    *,
    size: tuple[int, int] = DESKTOP,
    expected: Collection[str] = (),
    key: str = "",
    **options: Any,
) -> Iterator[Visit]:
    """Visit the page in a context of its own.

    Args:
        expected: parts of what the browser may write on its console, such as ``status of 404``.
        key: kept by the page from an earlier time in this tab.
        options: of the context: ``locale``, ``color_scheme``, …
    """
    width, height = size
    context = browser.new_context(viewport={"width": width, "height": height}, **{"locale": "en-GB", **options})
    context.set_default_timeout(PATIENCE_MS)
    page = context.new_page()
    visit = Visit(page, context, address)
    if key:
        page.add_init_script(f"sessionStorage.setItem('ragflow.key', {json.dumps(key)})")
    context.on("request", lambda request: visit.requests.append(request.url))
    page.on("pageerror", lambda error: visit.complaints.append(str(error)))
    page.on("console", lambda said: visit.complaints.append(said.text) if said.type in ("error", "warning") else None)
    try:
        yield visit
        unexpected = [text for text in visit.complaints if not any(part in text for part in expected)]
        assert not unexpected, unexpected
        # What has no host is the browser's own: blobs, and the parts of its PDF viewer.
        asked = [url for url in visit.requests if urlsplit(url).scheme in ("http", "https", "ws", "wss")]
        elsewhere = [url for url in asked if not url.startswith(f"{address}/")]
        assert asked and not elsewhere, elsewhere
    finally:
        context.close()
