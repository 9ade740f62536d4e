"""Weights over a real HTTP server, and from a folder."""

from __future__ import annotations

import hashlib
import json
import socket
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ragflow.errors import (
    BadInputError,
    DependencyMissingError,
    IntegrityError,
    RagflowError,
    ServiceUnavailableError,
    UsageError,
)
from ragflow.ocr.doctr_models import MODELS_JSON, doctr_folder, find_models, problem_of

pytest.importorskip("doctr", reason="the optional extra doctr is not installed")

from ragflow.ocr import doctr_pull
from ragflow.ocr.doctr import DoctrRecogniser
from ragflow.ocr.doctr_pull import DETECTION, RECOGNITION, check_address, pull
from ragflow_tests.ocr.doctr_weights import Known, models_of, random_weights, write_files
from ragflow_tests.ocr.weights_server import WeightsServer, serving


@pytest.fixture(scope="module")
def known() -> Known:
    return random_weights()


@pytest.fixture
def server(known: Known) -> Iterator[WeightsServer]:
    with serving() as told:
        told.files = {
            "/w/models.json": models_of(Path("w"), known).to_json(),
            "/w/detection.pt": known.detection,
            "/w/recognition.pt": known.recognition,
        }
        yield told


def contents(folder: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.glob("*")}


def test_everything_is_fetched_checked_recorded_and_can_be_used(
    server: WeightsServer, known: Known, tmp_path: Path
) -> None:
    seen: list[tuple[str, int, int]] = []
    made, fetched = pull(tmp_path, f"{server.address}/w/", progress=lambda *step: seen.append(step))
    assert fetched and made == find_models(tmp_path)
    assert made.detection.sha256 == hashlib.sha256(known.detection).hexdigest()
    assert made.detection.source == f"{server.address}/w/detection.pt"
    assert set(contents(doctr_folder(tmp_path))) == {MODELS_JSON, made.detection.file, made.recognition.file}
    assert made.detection.sha256[:8] in made.detection.file
    assert problem_of(made.folder, made.detection) is None and problem_of(made.folder, made.recognition) is None
    total = len(known.detection) // 1000
    assert ("fetch detection.pt (kB)", total, total) in seen
    assert isinstance(DoctrRecogniser(tmp_path).recognise(np.full((60, 200), 255, np.uint8), 200, []), list)

    server.asked.clear()
    assert pull(tmp_path, f"{server.address}/w") == (made, False) and server.asked == []
    assert pull(tmp_path, f"{server.address}/w", force=True) == (made, True) and len(server.asked) == 3


def test_damaged_weights_are_fetched_again(server: WeightsServer, tmp_path: Path) -> None:
    made, _ = pull(tmp_path, f"{server.address}/w")
    (made.folder / made.recognition.file).write_bytes(b"damaged")
    assert pull(tmp_path, f"{server.address}/w") == (made, True)
    assert problem_of(made.folder, made.recognition) is None


def test_a_folder_of_another_machine_will_do(known: Known, tmp_path: Path) -> None:
    write_files(tmp_path / "usb", known)
    first, _ = pull(tmp_path / "one", str(tmp_path / "usb"))
    second, _ = pull(tmp_path / "two", str(first.folder))
    assert second.detection.sha256 == first.detection.sha256
    assert second.detection.source == str(first.folder / first.detection.file)


def break_off(server: WeightsServer) -> None:
    server.truncated.add("/w/recognition.pt")


def break_off_without_length(server: WeightsServer) -> None:
    server.truncated.add("/w/recognition.pt")
    server.chunked.add("/w/recognition.pt")


def send_other_bytes(server: WeightsServer) -> None:
    raw = bytearray(server.files["/w/recognition.pt"])
    raw[-1] ^= 1
    server.files["/w/recognition.pt"] = bytes(raw)


def be_overloaded(server: WeightsServer) -> None:
    server.statuses["/w/recognition.pt"] = 503


def lose_the_file(server: WeightsServer) -> None:
    del server.files["/w/recognition.pt"]


def claim_too_much(server: WeightsServer) -> None:
    server.claimed["/w/recognition.pt"] = 1 << 40


def send_no_weights(server: WeightsServer) -> None:
    raw = b"<html>please log in</html>"
    server.files["/w/recognition.pt"] = raw
    entries = json.loads(server.files["/w/models.json"])
    entries["recognition"].update(sha256=hashlib.sha256(raw).hexdigest(), size=len(raw))
    server.files["/w/models.json"] = json.dumps(entries).encode()


def name_a_file_elsewhere(server: WeightsServer) -> None:
    server.files["/w/models.json"] = server.files["/w/models.json"].replace(b"recognition.pt", b"../../x.pt")


@pytest.mark.parametrize(
    ("go_wrong", "error", "said"),
    [
        (break_off, ServiceUnavailableError, "broke off after"),
        (break_off_without_length, IntegrityError, "not the file"),
        (send_other_bytes, IntegrityError, "not the file"),
        (be_overloaded, ServiceUnavailableError, "503"),
        (lose_the_file, BadInputError, "is not there"),
        (claim_too_much, BadInputError, "too much"),
        (send_no_weights, DependencyMissingError, "cannot be used"),
        (name_a_file_elsewhere, BadInputError, "cannot be used"),
    ],
)
def test_whatever_goes_wrong_what_was_there_stays(
    server: WeightsServer, tmp_path: Path, go_wrong: object, error: type[RagflowError], said: str
) -> None:
    assert callable(go_wrong)
    made, _ = pull(tmp_path / "old", f"{server.address}/w")
    before = contents(made.folder)
    go_wrong(server)
    for models in (tmp_path / "old", tmp_path / "new"):
        with pytest.raises(error, match=said):
            pull(models, f"{server.address}/w", force=True)
    assert contents(made.folder) == before
    assert contents(doctr_folder(tmp_path / "new")) == {}


def test_what_a_killed_pull_left_is_swept(server: WeightsServer, tmp_path: Path) -> None:
    folder = doctr_folder(tmp_path)
    folder.mkdir(parents=True)
    (folder / ".tmp-0123-recognition.pt").write_bytes(b"half")
    (folder / "recognition-00000000.pt").write_bytes(b"of an earlier pull that never ended")
    made, _ = pull(tmp_path, f"{server.address}/w")
    assert set(contents(folder)) == {MODELS_JSON, made.detection.file, made.recognition.file}


def test_doctr_s_own_names_and_digits(server: WeightsServer, known: Known, tmp_path: Path) -> None:
    """Without models.json the files stand under docTR's names, whose digits must be those of the hash."""
    import io

    import torch
    from doctr.models import recognition

    large = io.BytesIO()
    torch.save(getattr(recognition, RECOGNITION)(pretrained=False, pretrained_backbone=False).state_dict(), large)
    own = [doctr_pull._own(DETECTION, "detection"), doctr_pull._own(RECOGNITION, "recognition")]
    assert own[0].source.startswith("https://") and all(weights.file.endswith(".pt") for weights in own)
    server.files = {f"/m/{own[0].file}": known.detection, f"/m/{own[1].file}": large.getvalue()}
    with pytest.raises(IntegrityError, match=own[0].file.split("-")[1].removesuffix(".pt")):
        pull(tmp_path, f"{server.address}/m")

    def with_right_digits(architecture: str, kind: str) -> object:
        raw = known.detection if kind == "detection" else large.getvalue()
        name = f"{architecture}-{hashlib.sha256(raw).hexdigest()[:8]}.pt"
        server.files[f"/models/{name}"] = raw
        return replace(own[0], architecture=architecture, file=name, source=f"{server.address}/models/{name}")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(doctr_pull, "_own", with_right_digits)
        made, _ = pull(tmp_path)
    assert made.detection.architecture == DETECTION and made.recognition.architecture == RECOGNITION
    assert "é" in made.vocab and made.recognition.source.startswith(server.address)


def test_only_https_or_this_machine(server: WeightsServer, tmp_path: Path) -> None:
    for good in ("https://example.org/x", "http://127.0.0.1:1/x", "http://localhost/x", "http://[::1]/x"):
        assert check_address(good) == good
    for bad in (
        "http://example.org/x",
        "ftp://example.org/x",
        "file:///etc/passwd",
        "https:///x",
        "http://127.0.0.1.example.org",
    ):
        with pytest.raises(UsageError, match="not fetched"):
            pull(tmp_path, bad)
    server.redirects["/w/recognition.pt"] = "http://example.org/recognition.pt"
    with pytest.raises(UsageError, match="not fetched"):
        pull(tmp_path, f"{server.address}/w")
    server.redirects["/w/recognition.pt"] = f"{server.address}/elsewhere"
    server.files["/elsewhere"] = server.files["/w/recognition.pt"]
    assert pull(tmp_path, f"{server.address}/w")[1]


def test_a_server_that_is_not_there_is_told(tmp_path: Path) -> None:
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))
        with pytest.raises(ServiceUnavailableError, match=r"cannot be reached.*--from") as raised:
            pull(tmp_path, f"http://127.0.0.1:{reserved.getsockname()[1]}/w")
    assert raised.value.exit_code == 5
    with pytest.raises(BadInputError, match="is not there"):
        pull(tmp_path, str(tmp_path / "nothing"))
