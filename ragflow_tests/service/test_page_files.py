"""The files of the search page: how they are sent, and that their words are complete."""

from __future__ import annotations

import re

import httpx
import pytest

from ragflow.service.page import page_files

FILES = page_files()
TEXTS = {name: file.content.decode() for name, file in FILES.items()}
SCRIPTS = "\n".join(text for name, text in TEXTS.items() if name.endswith(".js"))


def test_files_are_sent_with_type_and_etag(client: httpx.Client) -> None:
    for name, file in FILES.items():
        path = "/" if name == "index.html" else f"/static/{name}"
        answer = client.get(path)
        assert answer.status_code == 200 and answer.content == file.content
        assert answer.headers["content-type"] == file.media_type and answer.headers["etag"] == file.etag
        assert not file.etag.startswith("W/")
        assert "default-src 'self'" in answer.headers["content-security-policy"]
        again = client.get(path, headers={"If-None-Match": f'"other", {file.etag}'})
        assert again.status_code == 304 and again.content == b"" and again.headers["etag"] == file.etag
        assert client.get(path, headers={"If-None-Match": '"other"'}).status_code == 200
        head = client.head(path)
        assert head.content == b"" and int(head.headers["content-length"]) == len(file.content)


@pytest.mark.parametrize("name", ["nothing.js", "index.html", "..%2Fpage.py", "%2e%2e/page.py", "__init__.py"])
def test_nothing_else_is_sent(client: httpx.Client, name: str) -> None:
    answer = client.get(f"/static/{name}")
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"


def test_both_languages_have_every_word() -> None:
    tables = re.findall(r"^const (?:en|fr) = \{\n(.*?)^\};", TEXTS["strings.js"], re.M | re.S)
    english, french = (dict(re.findall(r'"?([\w.]+)"?: "([^"]*)"', table)) for table in tables)
    assert list(english) == list(french)
    places = re.compile(r"\{\w+\}")
    for name, words in english.items():
        assert words and sorted(places.findall(words)) == sorted(places.findall(french[name])), name
    asked = {name for name in re.findall(r'data-t(?:-\w+)?="(\w+)"', TEXTS["index.html"])}
    asked |= set(re.findall(r'\bt\("(\w+)"', SCRIPTS))
    unknown = {name for name in asked if name not in english and f"{name}.other" not in english}
    assert asked and not unknown, unknown


def test_modules_import_what_is_there() -> None:
    for name, text in TEXTS.items():
        for imported in re.findall(r'from "\./([^"]+)"', text):
            assert imported in FILES, f"{name} imports {imported}"
    assert set(re.findall(r"/static/([\w.]+)", TEXTS["index.html"])) <= set(FILES)


def test_no_markup_is_made_from_data_and_no_style_or_script_is_inline() -> None:
    assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function", SCRIPTS)
    assert not re.search(r"\sstyle=|\son\w+=|<style|<script(?![^>]*\ssrc=)", TEXTS["index.html"])
