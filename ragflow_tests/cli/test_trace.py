"""``ragflow trace``: one hit, back to its pixels."""

from __future__ import annotations

from pathlib import Path

from PIL import Image

from ragflow_tests.e2e.homes import QUARRY, REPORT, SCAN, Archive, points_of
from ragflow_tests.e2e.launcher import Launcher

LINKS = ["point", "vector", "payload text", "chunk", "chunk on its page", "page text", "words"]
SCANNED, BORN_DIGITAL = "page raster", "text layer"


def point_on(archive: Archive, name: str) -> str:
    return min(point for point, (key, _) in points_of(archive.home, "v000001").items() if key == f"inbox/{name}")


def test_every_link_holds_and_the_page_is_painted(launcher: Launcher, archive: Archive, tmp_path: Path) -> None:
    point, image = point_on(archive, SCAN), tmp_path / "page.png"
    done = launcher.run(archive.root, "trace", point, "--image", image, "--json")
    assert done.exit_code == 0, done.stderr
    found = done.json
    assert (found["point_id"], found["version"], found["image"]) == (point, "v000001", str(image))
    assert found["holds"] is True and found["present"] is True
    assert [link["name"] for link in found["links"]] == [*LINKS, SCANNED, "document bytes"]
    assert all(link["holds"] and link["recorded"] == link["found"] for link in found["links"])
    assert [word["text"] for word in found["words"]] == found["payload"]["text"].split()

    with Image.open(image) as page:
        assert page.format == "PNG"
        width, height = page.size
        for word in found["words"]:
            left, top, *_ = word["box"]
            corner = page.getpixel((int(left * width) + 1, int(top * height) + 1))
            assert isinstance(corner, tuple) and corner[0] > corner[2], "the word is marked in colour"
        margin = page.getpixel((2, height - 3))
        assert isinstance(margin, tuple) and margin[0] == margin[1] == margin[2], "the rest of the page is not"


def test_a_broken_link_is_named(launcher: Launcher, copied: Archive) -> None:
    point = point_on(copied, REPORT)
    sha256 = next(line.sha256 for line in copied.home.manifests.all()[0].documents if line.key == f"inbox/{REPORT}")
    assert sha256 is not None
    copied.home.blobs.path(sha256).write_bytes(b"%PDF-1.4 something else")
    done = launcher.run(copied.root, "trace", point, "--json")
    assert done.exit_code == 4
    assert [link["name"] for link in done.json["links"] if not link["holds"]] == [BORN_DIGITAL, "document bytes"]
    assert "BROKEN  document bytes" in launcher.run(copied.root, "trace", point).stdout


def test_text_output_names_document_and_page(launcher: Launcher, archive: Archive) -> None:
    (hit,) = launcher.run(archive.root, "search", QUARRY, "--mode", "sparse", "--top", "1", "--json").json
    done = launcher.run(archive.root, "trace", hit["point_id"])
    assert done.exit_code == 0
    first, *rest = done.stdout.splitlines()
    assert first == f"Report — inbox/{REPORT}, page 1 (version v000001)"
    assert sum(line.startswith("  holds") for line in rest) == len([*LINKS, BORN_DIGITAL, "document bytes"])


def test_a_proof_is_written_and_checked_without_the_archive(
    launcher: Launcher, archive: Archive, tmp_path: Path
) -> None:
    proof = tmp_path / "proof.json"
    point = point_on(archive, SCAN)
    assert launcher.run(archive.root, "trace", point, "--proof", proof, "--json").json["proof"] == str(proof)
    elsewhere = tmp_path / "no archive here"
    original = archive.inbox / SCAN
    checked = launcher.run(elsewhere, "check-proof", proof, "--document", original, "--json")
    assert (checked.exit_code, checked.json["holds"]) == (0, True)
    assert not elsewhere.exists()
    noted = launcher.run(archive.root, "releases", "--json").json[0]["sha256"]
    assert checked.json["release_sha256"] == noted
    assert launcher.run(elsewhere, "check-proof", proof, "--anchor", noted).exit_code == 0
    assert launcher.run(archive.root, "verify", "--anchor", noted).exit_code == 0
    forged = proof.read_text().replace("lighthouse", "farmhouse!")
    proof.write_text(forged)
    refused = launcher.run(elsewhere, "check-proof", proof)
    assert refused.exit_code == 4 and "BROKEN  payload text" in refused.stdout
    proof.write_text("{}")
    assert launcher.run(elsewhere, "check-proof", proof).exit_code == 3
