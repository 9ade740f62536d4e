"""How the search page looks: on a phone, in light and dark, and whether all of it can be read."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from functools import partial

import pytest
from playwright.sync_api import expect

from ragflow_tests.service.browser import CHROMIUM, PHONE, Visit, browser, visiting
from ragflow_tests.service.homes import Service

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed (apt package chromium)")

QUESTION = "granite quarry river"
Visiting = Callable[..., AbstractContextManager[Visit]]


@pytest.fixture(scope="module")
def visit(service: Service) -> Iterator[Visiting]:
    with browser() as chromium:
        yield partial(visiting, chromium, service.address)


def test_a_phone_shows_everything_without_scrolling_sideways(visit: Visiting) -> None:
    with visit(size=PHONE) as seen:
        seen.go()
        assert seen.overflow() <= 0
        seen.page.locator("#chip").click()
        expect(seen.page.locator("#live-body")).to_be_visible()
        assert seen.overflow() <= 0
        seen.go(q=QUESTION)
        seen.page.locator("#filters summary").click()
        seen.hits.first.locator(".chain summary").click()
        seen.hits.first.locator(".chain .verdict").wait_for()
        assert seen.overflow() <= 0
        seen.hits.first.locator(".title").click()
        seen.page.locator("#viewer figure:not([aria-busy]) img").wait_for()
        assert seen.overflow() <= 0
        close = seen.page.locator("#viewer").get_by_role("button", name="Close").bounding_box()
        assert close is not None and close["x"] + close["width"] <= PHONE[0]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_all_text_can_be_read(visit: Visiting, scheme: str) -> None:
    with visit(color_scheme=scheme, expected=["status of 422"]) as seen:
        seen.go()
        seen.page.locator(".verdicts summary").first.click()
        assert seen.poor_contrasts() == []
        seen.go(q=QUESTION)
        for summary in seen.hits.first.locator("summary").all():
            summary.click()
        seen.hits.first.locator(".chain .verdict").wait_for()
        assert seen.poor_contrasts() == []
        seen.hits.first.locator(".title").click()
        seen.page.get_by_role("button", name="Text as read").click()
        seen.page.locator(".reading mark").first.wait_for()
        assert seen.poor_contrasts() == []
        seen.go(q="quarry", per_document=1000)
        assert seen.poor_contrasts() == []


def test_dark_follows_the_system_and_the_switch(visit: Visiting) -> None:
    ground = "getComputedStyle(document.body).backgroundColor"
    with visit(color_scheme="dark") as seen:
        seen.go()
        dark = seen.page.evaluate(ground)
        seen.page.get_by_role("button", name="Light or dark").click()
        light = seen.page.evaluate(ground)
        assert sum(map(int, re.findall(r"\d+", dark))) < 120 < 600 < sum(map(int, re.findall(r"\d+", light)))
        seen.page.reload()
        seen.settled()
        assert seen.page.evaluate(ground) == light
