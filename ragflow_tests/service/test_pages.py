"""``/api/v1/pages``: what was read, and the page as an image with the hit marked."""

from __future__ import annotations

import io
import os
import threading
import uuid
from pathlib import Path

import httpx
import numpy as np
import pytest
from PIL import Image

from ragflow.errors import NotFoundError
from ragflow.model.reading import Word
from ragflow.ocr.options import ReadingOptions
from ragflow.pipeline.page_images import REGION_COLOUR, WORD_COLOUR, PageImageError, PageRenderer, RenderTask
from ragflow.pipeline.page_tables import PageTables
from ragflow.pipeline.stages import OCR_TEXT
from ragflow.pipeline.workspace import Workspace
from ragflow.store.page_images import PageImageStore
from ragflow_tests.pipeline.archive import sha_of
from ragflow_tests.service.homes import BROKEN, LIGHTHOUSE, QUARRY, REPORT, SCAN, V2, Service

PAGES = "/api/v1/pages"


@pytest.fixture
def first_page(home: Workspace) -> str:
    return f"{PAGES}/{sha_of(home, REPORT)}-1"


def picture(answer: httpx.Response) -> np.ndarray:
    """Return the pixels of a PNG answer, shape (height, width, 3)."""
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "image/png"
    return np.asarray(Image.open(io.BytesIO(answer.content)).convert("RGB"))


def ground(pixels: np.ndarray, box: list[float]) -> tuple[int, ...]:
    """Return the brightest colour in a box: that of the paper under the letters."""
    height, width = pixels.shape[:2]
    left, top, right, bottom = box
    area = pixels[int(top * height) + 1 : int(bottom * height) - 1, int(left * width) + 1 : int(right * width) - 1]
    flat = area.reshape(-1, 3)
    return tuple(int(value) for value in flat[flat.sum(axis=1).argmax()])


def test_what_was_read_on_a_page(client: httpx.Client, first_page: str) -> None:
    found = client.get(first_page).json()
    assert (found["text"], found["status"], found["engine"], found["version"]) == (QUARRY, "indexed", "text_layer", V2)
    assert [word["text"] for word in found["words"]] == QUARRY.split()
    assert all(found["text"][w["char_start"] : w["char_end"]] == w["text"] for w in found["words"])
    blank = client.get(first_page.removesuffix("1") + "2").json()
    assert (blank["status"], blank["text"], blank["words"]) == ("blank", "", [])


def test_a_scanned_page_says_how_sure_each_word_is(client: httpx.Client, home: Workspace) -> None:
    found = client.get(f"{PAGES}/{sha_of(home, SCAN)}-1").json()
    assert found["engine"] == "tesseract" and found["text"].replace("\n", " ") == LIGHTHOUSE
    assert all(0.3 < word["confidence"] <= 1 for word in found["words"])


def test_pages_that_are_not_there(client: httpx.Client, home: Workspace, first_page: str) -> None:
    assert client.get(first_page.removesuffix("1") + "5").status_code == 404
    assert client.get(f"{PAGES}/{'0' * 64}-1").status_code == 404
    for wrong in (f"{PAGES}/{'0' * 64}-0", f"{PAGES}/{'0' * 64}", f"{PAGES}/x-1", f"{PAGES}/{'0' * 64}-1e3.png"):
        assert client.get(wrong).status_code == 422, wrong


def test_an_image_has_the_size_that_was_asked_for(client: httpx.Client, first_page: str) -> None:
    small, large = (picture(client.get(f"{first_page}.png", params={"dpi": dpi})) for dpi in (36, 200))
    # A4: 8.27 by 11.69 inches.
    assert small.shape[:2] == pytest.approx((11.69 * 36, 8.27 * 36), abs=2)
    assert large.shape[:2] == pytest.approx((11.69 * 200, 8.27 * 200), abs=2)
    assert (large.max(axis=2) == large.min(axis=2)).all(), "nothing is marked: grey"
    for dpi in (35, 201, 0):
        assert client.get(f"{first_page}.png", params={"dpi": dpi}).status_code == 422


def test_the_hit_is_marked_lightly_and_the_words_of_the_query_strongly(client: httpx.Client) -> None:
    asked = {"query": "granite quarries", "top": 1, "words": True}
    (hit,) = client.get("/api/v1/search", params=asked).json()["hits"]
    assert len(hit["words"]) == 2
    marked = picture(client.get(hit["links"]["image"], params={"point": hit["point_id"], "q": "granite quarries"}))
    for box in hit["words"]:
        assert ground(marked, box) == WORD_COLOUR
    rest = [hit["words"][-1][2] + 0.02, hit["boxes"][0][1], hit["boxes"][0][2], hit["boxes"][0][3]]
    assert ground(marked, rest) == REGION_COLOUR
    assert ground(marked, [0.1, 0.5, 0.9, 0.6]) == (255, 255, 255)
    assert marked.min() < 20, "the letters stay black"
    words_only = picture(client.get(f"/api/v1/pages/{hit['page_id']}.png", params={"q": "granite quarries"}))
    assert ground(words_only, hit["words"][0]) == WORD_COLOUR and ground(words_only, rest) == (255, 255, 255)


def test_a_scan_is_marked_where_its_words_are(client: httpx.Client, home: Workspace) -> None:
    page = client.get(f"{PAGES}/{sha_of(home, SCAN)}-1").json()
    (box,) = [word["box"] for word in page["words"] if word["text"] == "keeper"]
    marked = picture(client.get(page["links"]["image"], params={"q": "keepers"}))
    red, green, blue = ground(marked, box)
    assert red > green > blue and blue < 100


def test_a_point_of_another_page_is_not_found(client: httpx.Client, first_page: str) -> None:
    (hit,) = client.get("/api/v1/search", params={"query": "windmill barley", "top": 1}).json()["hits"]
    assert hit["page_number"] == 3
    assert client.get(f"{first_page}.png", params={"point": hit["point_id"]}).status_code == 404
    assert client.get(f"{first_page}.png", params={"point": "no-uuid"}).status_code == 422


def test_an_image_is_rendered_once(client: httpx.Client, service: Service, first_page: str) -> None:
    address = f"{first_page}.png?dpi=77"
    sources = service.state.metrics.images
    before = [sources.labels(source)._value.get() for source in ("rendered", "kept")]
    first, second = client.get(address), client.get(address)
    after = [sources.labels(source)._value.get() for source in ("rendered", "kept")]
    assert first.content == second.content and [b - a for a, b in zip(before, after, strict=True)] == [1, 1]
    known = client.get(address, headers={"if-none-match": first.headers["etag"]})
    assert known.status_code == 304 and not known.content
    assert client.get(f"{address}&q=granite").headers["etag"] != first.headers["etag"]


def test_a_document_that_cannot_be_opened_is_a_problem_with_a_remedy(client: httpx.Client, home: Workspace) -> None:
    answer = client.get(f"{PAGES}/{sha_of(home, BROKEN)}-1.png")
    assert (answer.status_code, answer.json()["type"]) == (422, "urn:ragflow:page-cannot-be-shown")
    assert answer.json()["remedy"]


def test_what_hangs_or_is_too_large_costs_its_worker_only(home: Workspace, tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)  # to open it is to wait for ever
    sha256 = sha_of(home, REPORT)
    fine = RenderTask(sha256, str(home.home.blobs.path(sha256)), 0, 50)
    renderer = PageRenderer(ReadingOptions(), workers=2, seconds=6.0)
    try:
        stuck: list[BaseException] = []

        def hang() -> None:
            try:
                renderer.render(RenderTask("0" * 64, str(pipe), 0, 50))
            except PageImageError as error:
                stuck.append(error)

        waiting = threading.Thread(target=hang)
        waiting.start()
        image = renderer.render(fine)
        assert image.startswith(b"\x89PNG"), "others are rendered meanwhile"
        waiting.join(60)
        assert len(stuck) == 1 and "6 seconds" in str(stuck[0])
        assert [renderer.render(fine), renderer.render(fine)] == [image, image], "both workers work again"
        with pytest.raises(PageImageError, match="too many pixels"):
            renderer.render(RenderTask(sha256, str(home.home.blobs.path(sha256)), 0, 50, max_pixels=1000))
    finally:
        renderer.close()


def test_kept_images_are_bounded_and_the_oldest_goes_first(tmp_path: Path) -> None:
    store = PageImageStore(tmp_path, 1000)
    contents = [sha_fake(number) for number in range(4)]
    for number, sha256 in enumerate(contents[:3]):
        store.put(sha256, "a" * 64, bytes(300))
        os.utime(store.path(sha256, "a" * 64), (number, number))
    assert store.find(contents[0], "a" * 64) == bytes(300), "and is now the one last used"
    store.put(contents[3], "a" * 64, bytes(300))
    assert store.find(contents[1], "a" * 64) is None
    assert all(store.find(contents[number], "a" * 64) for number in (0, 2, 3))
    store.put(contents[1], "b" * 64, bytes(2000))
    assert store.find(contents[1], "b" * 64) is None, "larger than all that may be kept"
    store.remove(contents[0])
    assert store.find(contents[0], "a" * 64) is None
    again = PageImageStore(tmp_path, 500)
    again.put(contents[0], "c" * 64, bytes(100))
    left = [path for path in tmp_path.rglob("*.png")]
    assert sum(path.stat().st_size for path in left) <= 500, "what an earlier process kept counts, too"
    with pytest.raises(NotFoundError):
        store.path("../../etc", "a")


def sha_fake(number: int) -> str:
    return uuid.UUID(int=number).hex * 2


def test_rows_of_a_page_are_those_of_the_table_kept_or_not(home: Workspace) -> None:
    sha256, store = sha_of(home, REPORT), home.home.tables
    batch = home.home.manifests.batch_keys()[0]
    record = store.get(OCR_TEXT, batch)
    kept, small, without = PageTables(), PageTables(max_bytes=1), PageTables(max_rows=0)
    for index in (0, 1, 3, 9):
        place = [("document_sha256", "==", sha256), ("page_index", "==", index)]
        expected = store.rows(record, "words", place).select(list(Word._fields)).to_pylist()
        assert bool(expected) == (index in (0, 3)), "a page without words, and one that is not there"
        for tables in (kept, kept, small, without):
            assert tables.rows(store, OCR_TEXT, batch, "words", sha256, index) == expected
    pages = kept.rows(store, OCR_TEXT, batch, "page_texts", sha256)
    assert [page["page_index"] for page in pages] == [0, 1, 2, 3]
    assert kept.kept_bytes > 0 and small.kept_bytes == without.kept_bytes == 0
    assert kept.rows(store, OCR_TEXT, batch, "words", "0" * 64, 0) == []
