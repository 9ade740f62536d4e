"""The search page in a real browser, on a real service: what a person sees, and can do with mouse and keys."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import parse_qs

import pytest
from playwright.sync_api import Browser, expect

from ragflow.model.keys import Scope
from ragflow.pipeline.proofs import check_proof
from ragflow.pipeline.workspace import Workspace
from ragflow.store.keys import KeyStore
from ragflow_tests.pipeline.archive import ingest, put
from ragflow_tests.service.browser import CHROMIUM, MARKED_PIXELS, Visit, browser, visiting
from ragflow_tests.service.homes import LATER, MINUTES, REPORT, Service, copied, running, settings_of

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed (apt package chromium)")

QUESTION = "granite quarry river"
EVIL_TITLE = "<img src=x onerror=alert(1)>"
EVIL_TEXT = "<script>alert(2)</script> The zeppelin <b>landed</b> behind the brewery <img src=y onerror=alert(3)>"


class Visiting(Protocol):
    """Opens a visit of a service; see :func:`ragflow_tests.service.browser.visiting`."""

    def __call__(self, address: str = ..., **options: Any) -> AbstractContextManager[Visit]: ...


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with browser() as found:
        yield found


@pytest.fixture(scope="module")
def visit(chromium: Browser, service: Service) -> Visiting:
    """Visit the service that needs no key, or another one."""

    def opened(address: str = service.address, **options: Any) -> AbstractContextManager[Visit]:
        return visiting(chromium, address, **options)

    return opened


@pytest.fixture(scope="module")
def guarded(home: Workspace, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Service, str]]:
    """A service that asks for a key, over an archive with a hostile document; and the key."""
    workspace = copied(home, tmp_path_factory.mktemp("guarded").resolve() / "home")
    put(workspace, "evil.pdf", EVIL_TEXT, title=EVIL_TITLE)
    assert ingest(workspace).decision == "promoted"
    _, token = KeyStore(workspace.home.root / "secrets").add("reader", [Scope.SEARCH, Scope.READ])
    with running(settings_of(workspace.home.root, require_key=True, requests_per_minute=0)) as found:
        yield found, token


def test_a_search_shows_hits_their_pages_and_what_they_rest_on(visit: Visiting) -> None:
    with visit() as seen:
        seen.go()
        page = seen.page
        assert seen.focus_is_in("#q"), "who comes wants to type"
        page.keyboard.type(QUESTION)
        page.keyboard.press("Enter")
        best = seen.hits.first
        expect(best.locator(".title")).to_have_text("Report")
        expect(best.locator("h3 .page")).to_have_text("page 1")
        marked = {word.lower() for word in best.locator("blockquote mark").all_inner_texts()}
        assert marked == {"granite", "quarry", "river"}
        expect(page.locator("#count")).to_contain_text(re.compile(r"\d+ hits in \d+ ms, from v000002"))
        facts = best.locator(".trust")
        expect(facts).to_contain_text("text layer of the file")
        expect(facts).to_contain_text(re.compile(r"\d+(\.\d)?%, very high"))
        expect(facts).to_contain_text(f"v000002:{seen.points()[0]}")
        expect(best.locator(".also")).to_contain_text("Also in 1 document")
        best.locator(".thumb:not([aria-busy])").wait_for()
        marks = best.locator(".thumb img").evaluate(MARKED_PIXELS)
        assert marks["strong"] > 50 and marks["light"] > 50, marks
        assert page.evaluate("document.title") == f"{QUESTION} · ragflow"
        assert not any(request.endswith("null") for request in seen.requests)


def test_the_larger_view_walks_through_the_document(visit: Visiting) -> None:
    with visit() as seen:
        seen.go(q=QUESTION)
        title = seen.hits.first.locator(".title")
        title.click()
        view = seen.page.locator("#viewer")
        expect(view.locator("#viewer-page")).to_have_text("Page 1 of 4")
        image = view.locator("figure:not([aria-busy]) img")
        expect(image).to_have_attribute("alt", "Page 1 of Report, the matching words marked")
        assert image.evaluate(MARKED_PIXELS)["strong"] > 100
        expect(view.locator("[name=previous]")).to_have_attribute("aria-disabled", "true")
        view.get_by_role("button", name="Text as read").click()
        expect(view.locator(".reading mark")).to_have_count(3)
        view.get_by_role("button", name="Next page").click()
        expect(view.locator("#viewer-page")).to_have_text("Page 2 of 4")
        expect(image).to_have_attribute("alt", re.compile("Page 2"))
        expect(view.locator(".reading")).to_contain_text("This page is blank.")
        seen.page.keyboard.press("ArrowRight")
        expect(view.locator(".reading")).to_contain_text("windmill")
        seen.page.keyboard.press("Escape")
        expect(view).to_be_hidden()
        expect(title).to_be_focused()


def test_the_file_opens_at_the_page(visit: Visiting) -> None:
    with visit() as seen:
        seen.go(q="windmill barley")
        link = seen.hits.first.get_by_role("link", name="Open the file here")
        with (
            seen.context.expect_page() as opened,
            seen.context.expect_event("response", lambda response: "/file" in response.url) as answered,
        ):
            link.click()
        assert opened.value.url.endswith("/file#page=3")
        assert answered.value.headers["content-type"] == "application/pdf"


def test_filters_live_in_the_address(visit: Visiting) -> None:
    with visit() as seen:
        seen.go(q="winter")
        everything = seen.points()
        page = seen.page
        language = page.get_by_role("combobox", name="Language")
        per_document = page.get_by_role("spinbutton", name="Hits per document")
        language.select_option("fr")
        expect(page.locator("#filters-on")).to_have_text("(1 on)")
        seen.settled()
        assert parse_qs(seen.query()) == {"q": ["winter"], "language": ["fr"]}
        keys = set(seen.hits.locator(".key").all_inner_texts())
        assert len(keys) == 1 and keys.pop().endswith(MINUTES), "only the minutes are French"
        per_document.fill("1")
        page.keyboard.press("Tab")
        expect(seen.hits).to_have_count(1)
        assert "per_document=1" in seen.query()
        page.go_back()
        expect(per_document).to_have_value("")
        page.go_back()
        expect(language).to_have_value("")
        expect(seen.hits).to_have_count(len(everything))
        assert seen.points() == everything
        page.go_forward()
        expect(language).to_have_value("fr")
        page.reload()
        seen.settled()
        expect(language).to_have_value("fr")
        expect(page.locator("#q")).to_have_value("winter")


def test_one_document_only_and_back(visit: Visiting) -> None:
    with visit() as seen:
        seen.go(q="ferry lake", mode="sparse")
        seen.hits.first.get_by_role("button", name="Only this document").click()
        expect(seen.page.locator("#only")).to_contain_text(LATER)
        seen.settled()
        assert {key[-len(LATER) :] for key in seen.hits.locator(".key").all_inner_texts()} == {LATER}
        assert "document=" in seen.query()
        seen.page.get_by_role("button", name="Search all documents again").click()
        expect(seen.page.locator("#only")).to_be_hidden()
        assert "document=" not in seen.query()


def test_the_chain_is_recomputed_and_the_proof_can_be_taken_away(visit: Visiting, tmp_path: Path) -> None:
    with visit(permissions=["clipboard-read", "clipboard-write"]) as seen:
        seen.go(q="lighthouse keeper fog bell")
        best = seen.hits.first
        expect(best.locator(".trust")).to_contain_text("OCR, Tesseract")
        best.locator(".chain summary").click()
        expect(best.locator(".chain .verdict")).to_contain_text(re.compile(r"All \d+ links hold"))
        rows = best.locator(".chain li")
        assert rows.count() >= 8 and all("holds" in row for row in rows.all_inner_texts())
        best.get_by_role("button", name="Copy").click()
        expect(best.get_by_role("button", name="Copied")).to_be_visible()
        assert seen.page.evaluate("navigator.clipboard.readText()") == f"v000002:{seen.points()[0]}"
        with seen.page.expect_download() as taken:
            best.get_by_role("button", name="Proof file").click()
        taken.value.save_as(tmp_path / "proof.json")
        links = check_proof(json.loads((tmp_path / "proof.json").read_bytes()))
        assert links and all(link.holds for link in links)


def test_what_is_served_is_told(visit: Visiting) -> None:
    with visit() as seen:
        seen.go()
        page = seen.page
        expect(page.locator("#chip")).to_contain_text(re.compile(r"v000002: (\d+) of \1 checks passed"))
        served = page.locator("#live-body")
        told = served.inner_text()
        ledger = re.search(r"(\d+) = (\d+) indexed \+ (\d+) blank \+ (\d+) quarantined", told)
        assert ledger is not None
        pages, indexed, blank, quarantined = map(int, ledger.groups())
        assert pages == indexed + blank + quarantined and "adds up" in told
        assert blank == 2 and quarantined == 1, "the blank page under two names, and the torn file"
        served.locator(".verdicts summary").first.click()
        expect(served.get_by_text("served_coverage")).to_be_visible()


def test_a_key_is_asked_for_kept_in_the_tab_and_forgotten(visit: Visiting, guarded: tuple[Service, str]) -> None:
    service, token = guarded
    with visit(service.address, expected=["status of 401"]) as seen:
        seen.go(q=QUESTION)
        page = seen.page
        expect(page.get_by_text("This service asks for a key")).to_be_visible()
        field = page.get_by_label("Key", exact=True)
        expect(field).to_be_focused()
        page.keyboard.type("rfk_wrong_wrong")
        page.keyboard.press("Enter")
        expect(page.get_by_role("alert")).to_contain_text("This key was not accepted.")
        field.fill(token)
        page.keyboard.press("Enter")
        best = seen.hits.first
        expect(best.locator(".title")).to_have_text("Report")
        best.locator(".thumb:not([aria-busy], .failed)").wait_for()
        assert not any(token in url for url in seen.requests), "a key belongs into no address"
        assert page.evaluate("[localStorage.length, document.cookie]") == [0, ""]
        with seen.context.expect_page() as opened:
            best.get_by_role("link", name="Open the file here").click()
        opened.value.wait_for_url(re.compile(r"^blob:.*#page=1$"))
        opened.value.close()
        page.reload()
        best.locator(".title").wait_for()
        page.get_by_role("button", name="Forget the key").click()
        expect(page.get_by_text("This service asks for a key")).to_be_visible()
        assert page.evaluate("sessionStorage.length") == 0
        expect(seen.hits).to_have_count(0)


def test_what_documents_and_queries_hold_stays_text(visit: Visiting, guarded: tuple[Service, str]) -> None:
    service, token = guarded
    with visit(service.address, key=token) as seen:
        dialogs: list[str] = []
        seen.page.on("dialog", lambda dialog: (dialogs.append(dialog.message), dialog.dismiss()))
        seen.go(q=f"zeppelin brewery script {EVIL_TITLE}", document="<script>alert(4)</script>")
        expect(seen.page.locator("#only b")).to_have_text("<script>alert(4)</script>")
        seen.go(q=f"zeppelin brewery script {EVIL_TITLE}")
        best = seen.hits.first
        expect(best.locator(".title")).to_have_text(EVIL_TITLE)
        text = best.locator("blockquote")
        expect(text).to_contain_text("<script>alert(2)</script>")
        assert {"zeppelin", "brewery", "script"} <= {word.lower() for word in text.locator("mark").all_inner_texts()}
        assert text.locator("script, img, b").count() == 0
        best.locator(".title").click()
        expect(seen.page.locator("#viewer-title")).to_have_text(EVIL_TITLE)
        seen.page.get_by_role("button", name="Text as read").click()
        expect(seen.page.locator(".reading")).to_contain_text("<script>alert(2)</script>")
        assert seen.page.locator("#viewer :is(script, b)").count() == 0
        assert not dialogs


def test_a_broken_link_is_named(visit: Visiting, guarded: tuple[Service, str]) -> None:
    service, token = guarded
    with visit(service.address, key=token, expected=["status of 422", "status of 503"]) as seen:
        seen.go(q="ferry lake guilders miller")
        best = seen.hits.first
        href = best.locator("a.file").get_attribute("href") or ""
        blob = service.workspace.home.blobs.path(href.split("/")[4])
        intact = blob.read_bytes()
        blob.chmod(0o644)
        blob.write_bytes(intact[:-1] + b"?")
        try:
            best.locator(".chain summary").click()
            expect(best.locator(".chain .verdict")).to_have_text("1 link is BROKEN: do not rely on this hit.")
            broken = best.locator(".chain li.bad")
            expect(broken).to_have_count(1)
            expect(broken).to_contain_text(re.compile("BROKEN.*document bytes.*found damaged", re.S))
            assert seen.poor_contrasts() == []
        finally:
            blob.write_bytes(intact)


def test_nothing_live_and_too_many_requests(visit: Visiting, tmp_path: Path) -> None:
    # 60 in a minute: what the page asks again after a second is answered.
    with (
        running(settings_of(tmp_path.resolve() / "home", requests_per_minute=60, burst=40)) as service,
        visit(service.address, expected=["status of 429", "status of 503"]) as seen,
    ):
        page = seen.page
        seen.go(q="anything")
        expect(page.get_by_text("Nothing is live yet", exact=True)).to_be_visible()
        expect(page.locator(".remedy")).to_contain_text("ragflow ingest")
        expect(page.locator(".state code")).not_to_be_empty()
        page.evaluate("Promise.all(Array.from({ length: 45 }, () => fetch('/api/v1/releases/current')))")
        page.get_by_role("button", name="Try again").click()
        expect(page.get_by_role("alert")).to_have_text("Too many requests")
        expect(page.get_by_role("button", name="Trying again in")).to_be_disabled()
        expect(page.get_by_text("Nothing is live yet", exact=True)).to_be_visible()


def test_a_problem_is_told_with_its_remedy(visit: Visiting) -> None:
    with visit(expected=["status of 422"]) as seen:
        seen.go(q="quarry", per_document=1000)
        state = seen.page.locator(".state")
        expect(state.get_by_role("alert")).to_have_text("A value cannot be used")
        expect(state).to_contain_text("per_document")
        expect(state.locator(".remedy")).to_contain_text("Correct")
        assert state.locator("code").inner_text()
        expect(state.get_by_role("button", name="Try again")).to_be_visible()


def test_no_hits_says_what_may_help(visit: Visiting) -> None:
    with visit() as seen:
        seen.go(q="quarry", mode="sparse", language="fr")
        expect(seen.page.locator(".lead")).to_have_text("No hits")
        expect(seen.page.locator("#count")).to_contain_text("0 hits")
        seen.page.get_by_role("button", name="Remove the filters").click()
        expect(seen.hits.first.locator(".title")).to_have_text("Report")
        assert parse_qs(seen.query()) == {"q": ["quarry"]}


def test_without_a_network_the_page_waits_for_it(visit: Visiting) -> None:
    with visit(expected=["ERR_INTERNET_DISCONNECTED"]) as seen:
        seen.go()
        seen.context.set_offline(True)
        seen.page.locator("#q").fill("windmill")
        seen.page.keyboard.press("Enter")
        expect(seen.page.get_by_role("alert")).to_have_text("The service cannot be reached")
        seen.context.set_offline(False)
        expect(seen.hits.first).to_contain_text("windmill")


def test_everything_can_be_done_with_keys(visit: Visiting) -> None:
    with visit() as seen:
        seen.go(q="windmill barley")
        press = seen.page.keyboard.press
        press("Tab")
        expect(seen.page.locator(".skip")).to_be_focused()
        press("Enter")
        press("j")
        expect(seen.hits.nth(0)).to_be_focused()
        press("ArrowDown")
        expect(seen.hits.nth(1)).to_be_focused()
        press("k")
        expect(seen.hits.nth(0)).to_be_focused()
        assert seen.hits.nth(0).evaluate("hit => getComputedStyle(hit).outlineStyle") == "solid"
        press("Enter")
        expect(seen.page.locator("#viewer")).to_be_visible()
        press("ArrowLeft")
        expect(seen.page.locator("#viewer-page")).to_have_text("Page 2 of 4")
        press("Escape")
        expect(seen.hits.nth(0)).to_be_focused()
        press("c")
        expect(seen.hits.nth(0).locator(".chain .verdict")).to_be_visible()
        press("?")
        expect(seen.page.get_by_role("heading", name="Keyboard")).to_be_visible()
        press("Escape")
        press("/")
        expect(seen.page.locator("#q")).to_be_focused()
        seen.page.keyboard.type("lavoir")
        press("Enter")
        expect(seen.page.locator("#q")).to_have_value("lavoir")
        expect(seen.hits.first.locator(".title")).to_have_text("Séance")
        press("ArrowDown")
        expect(seen.hits.first).to_be_focused()


def test_french_is_spoken_where_it_is_read(visit: Visiting) -> None:
    with visit(locale="fr-FR") as seen:
        seen.go(q="toiture du lavoir")
        page = seen.page
        assert page.evaluate("document.documentElement.lang") == "fr"
        expect(page.locator("#count")).to_contain_text(re.compile(r"résultats? en \d+ ms"))
        best = seen.hits.first
        expect(best.locator("blockquote")).to_have_attribute("lang", "fr")
        assert {"toiture", "lavoir"} == set(best.locator("mark").all_inner_texts())
        expect(best.locator(".trust")).to_contain_text("couche de texte du fichier")
        page.get_by_role("button", name="English").click()
        expect(page.locator("#count")).to_contain_text("hit")
        assert page.evaluate("document.documentElement.lang") == "en"
        page.reload()
        expect(page.locator("#search-form button.primary")).to_have_text("Search")


def test_more_hits_are_added_below(visit: Visiting) -> None:
    with visit() as seen:
        seen.go(q=QUESTION, top=2)
        expect(seen.hits).to_have_count(2)
        first = seen.points()
        seen.page.get_by_role("button", name="More hits").click()
        expect(seen.hits).to_have_count(4)
        assert len(set(seen.points())) == 4 and seen.points()[0] == first[0]
        expect(seen.hits.nth(2)).to_be_focused()
        assert "top=4" in seen.query()
        assert seen.hits.first.locator(".key").inner_text().endswith(REPORT) or seen.hits.first.locator(".also").count()
