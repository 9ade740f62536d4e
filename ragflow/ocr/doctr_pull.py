"""Fetch docTR's weights, once: the only place in this package that uses the network, and only when a person asks.

Where they lie is what docTR's own code says. Its file names carry the first digits of the file's SHA-256
(``name-<digits>.pt``); the whole hash is recorded in ``models.json``.
"""

from __future__ import annotations

import hashlib
import http.client
import importlib
import ipaddress
import re
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any

import ragflow
from ragflow.errors import BadInputError, DependencyMissingError, IntegrityError, ServiceUnavailableError, UsageError
from ragflow.ocr.doctr import build_detection, build_recognition
from ragflow.ocr.doctr_models import (
    MAX_WEIGHTS_BYTES,
    MODELS_JSON,
    DoctrModels,
    Weights,
    doctr_folder,
    find_models,
    library_version,
    parse_models,
    problem_of,
    read_state,
)
from ragflow.store.atomic import TEMPORARY_PREFIX, put_in_place, temporary_beside, write_bytes
from ragflow.store.locks import Lock

DETECTION = "db_mobilenet_v3_large"
RECOGNITION = "crnn_mobilenet_v3_large"
"""The lightest pair of docTR 1.1 whose vocabulary is French (17 and 18 MB); code and weights under Apache-2.0."""

PIECE = 1 << 18
ANSWER_SECONDS = 30.0
MAX_JSON_BYTES = 1 << 20

Progress = Callable[[str, int, int], None]
"""Called with the work, and how much of it is done and to do, in kB."""

_DIGITS = re.compile(r"-([0-9a-f]{8,64})\.(?:pt|safetensors)\Z")


@dataclass(frozen=True, slots=True)
class _Wanted:
    """One file to fetch: where it is, and the hash that it must have, whole or its first digits."""

    weights: Weights
    digits: str


def pull(
    models: Path,
    source: str | None = None,
    *,
    force: bool = False,
    progress: Progress = lambda work, done, total: None,
) -> tuple[DoctrModels, bool]:
    """Fetch the weights into the models folder; return what lies there, and whether anything was fetched.

    What is there and has the right hashes is left alone. ``models.json`` is replaced last, in one step: until then,
    and after any failure, what was there before is still there.

    Args:
        source: None: where docTR's own code says. Else a folder or an address that holds what an earlier pull made
            (``models.json`` and the files it names), or docTR's files under docTR's names. An address is https; plain
            http is for this machine only.
        force: fetch even if everything is there.

    Raises:
        DependencyMissingError: the extra is not installed, or the files are no weights for it.
        UsageError, BadInputError: the source cannot be used.
        ServiceUnavailableError: the network or the server did not give the whole file.
        IntegrityError: the file is not the one that its name or ``models.json`` promises.
    """
    library_version()
    folder = doctr_folder(models)
    with Lock(models / ".pull.lock").held():
        for left in folder.glob(f"{TEMPORARY_PREFIX}*"):
            left.unlink()
        if not force:
            standing = _standing(models)
            if standing is not None:
                return standing, False
        planned, *wanted = _plan(folder, source)
        fetched: list[tuple[Path, Weights]] = []
        try:
            for one in wanted:
                fetched.append((temporary_beside(folder / one.weights.file), one.weights))
                fetched[-1] = fetched[-1][0], _fetch(fetched[-1][0], one, progress)
            (_, detection), (_, recognition) = fetched
            made = replace(planned, detection=detection, recognition=recognition)
            _try_out(made, *(path for path, _ in fetched))
            for path, weights in fetched:
                put_in_place(path, folder / weights.file)
        finally:
            for path, _ in fetched:
                path.unlink(missing_ok=True)
        write_bytes(folder / MODELS_JSON, made.to_json())
        for path in folder.iterdir():
            if path.name not in (MODELS_JSON, made.detection.file, made.recognition.file):
                path.unlink()
    return made, True


def _standing(models: Path) -> DoctrModels | None:
    try:
        found = find_models(models)
    except DependencyMissingError:
        return None
    damaged = [problem_of(found.folder, weights) for weights in (found.detection, found.recognition)]
    return None if any(damaged) else found


def _plan(folder: Path, source: str | None) -> tuple[DoctrModels, _Wanted, _Wanted]:
    """Return what is to be there, and the two files to fetch."""
    usual = DoctrModels(folder, _own(DETECTION, "detection"), _own(RECOGNITION, "recognition"), "")
    usual = replace(usual, vocab=_configuration(RECOGNITION, "recognition")["vocab"])
    if source is None:
        return usual, _by_name(usual.detection), _by_name(usual.recognition)
    base = source if "://" in source else str(Path(source).expanduser().absolute())
    base = base.rstrip("/")
    listed = _listing(folder, base)
    if listed is None:
        found = [replace(one, source=f"{base}/{one.file}") for one in (usual.detection, usual.recognition)]
        return usual, _by_name(found[0]), _by_name(found[1])
    found = [replace(one, source=f"{base}/{one.file}") for one in (listed.detection, listed.recognition)]
    return listed, _Wanted(found[0], found[0].sha256), _Wanted(found[1], found[1].sha256)


def _own(architecture: str, kind: str) -> Weights:
    """Return where docTR's own code has the weights of an architecture."""
    address = str(_configuration(architecture, kind)["url"])
    name = urllib.parse.unquote(address).rpartition("/")[2].split("&")[0]
    return Weights(architecture, name, "", 0, address)


def _configuration(architecture: str, kind: str) -> dict[str, Any]:
    network = getattr(importlib.import_module(f"doctr.models.{kind}"), architecture)
    configuration: dict[str, Any] = importlib.import_module(network.__module__).default_cfgs[architecture]
    return configuration


def _by_name(weights: Weights) -> _Wanted:
    match = _DIGITS.search(weights.file)
    if match is None:
        raise BadInputError(
            f"The name {weights.file} does not carry the digits of its hash, so the file cannot be checked.",
            remedy="Name a folder or an address with a models.json: --from.",
        )
    return _Wanted(weights, match.group(1))


def _listing(folder: Path, base: str) -> DoctrModels | None:
    """Return what ``models.json`` at the source says, or None if there is none."""
    try:
        with _open(f"{base}/{MODELS_JSON}") as (stream, _):
            raw = stream.read(MAX_JSON_BYTES + 1)
    except FileNotFoundError:
        return None
    try:
        return parse_models(folder, raw)
    except DependencyMissingError as error:
        raise BadInputError(
            f"{base}/{MODELS_JSON} cannot be used.", remedy=f"Correct it: {error.__cause__}."
        ) from error


def _fetch(path: Path, wanted: _Wanted, progress: Progress) -> Weights:
    """Bring one file to ``path``; return it with its hash, its size, and a name that tells its content."""
    weights = wanted.weights
    try:
        with _open(weights.source) as (stream, length):
            digest = hashlib.sha256()
            size = 0
            expected = length if length is not None else weights.size
            if expected > MAX_WEIGHTS_BYTES:
                raise _too_large(weights)
            with path.open("wb") as out:
                while piece := _read(stream, weights):
                    size += len(piece)
                    if size > MAX_WEIGHTS_BYTES:
                        raise _too_large(weights)
                    digest.update(piece)
                    out.write(piece)
                    progress(f"fetch {weights.file} (kB)", size // 1000, max(expected, size) // 1000)
            if length is not None and size != length:
                raise ServiceUnavailableError(
                    f"{weights.source} broke off after {size} of {length} bytes.", remedy="Try again."
                )
            sha256 = digest.hexdigest()
            if not sha256.startswith(wanted.digits):
                raise IntegrityError(
                    f"{weights.source} has the hash {sha256[:16]}…, not {wanted.digits[:16]}…: it is not the file that"
                    " was asked for.",
                    remedy="Nothing was kept. Try again, or name another source with --from.",
                )
            # A name that another content never has: what is in use is not written over.
            name = f"{weights.architecture}-{sha256[:8]}{Path(weights.file).suffix}"
            return replace(weights, file=name, sha256=sha256, size=size)
    except FileNotFoundError as error:
        raise BadInputError(
            f"{weights.source} is not there.",
            remedy=f"--from names a folder or an address with {MODELS_JSON}, or with {weights.file}.",
        ) from error


def _read(stream: IO[bytes] | http.client.HTTPResponse, weights: Weights) -> bytes:
    try:
        return stream.read(PIECE)
    except (OSError, http.client.HTTPException) as error:
        raise ServiceUnavailableError(
            f"{weights.source} broke off ({type(error).__name__}).", remedy="Try again."
        ) from error


def _too_large(weights: Weights) -> BadInputError:
    return BadInputError(
        f"{weights.source} has more than {MAX_WEIGHTS_BYTES >> 20} MiB, too much for weights.",
        remedy="Name another source with --from.",
    )


def _try_out(made: DoctrModels, detection: Path, recognition: Path) -> None:
    """Build both networks from what was fetched, so that a file of another kind is found now."""
    build_detection(made.detection, read_state(made.detection.file, detection.read_bytes()))
    build_recognition(made.recognition, made.vocab, read_state(made.recognition.file, recognition.read_bytes()))


class _Opened:
    """An open file or answer, and its length in bytes if it is known; a context manager."""

    def __init__(self, stream: IO[bytes] | http.client.HTTPResponse, length: int | None) -> None:
        self._stream = stream
        self._length = length

    def __enter__(self) -> tuple[IO[bytes] | http.client.HTTPResponse, int | None]:
        return self._stream, self._length

    def __exit__(self, *_: object) -> None:
        self._stream.close()


def _open(place: str) -> _Opened:
    """Open a path or an address.

    Raises:
        FileNotFoundError: there is no such file (404).
        UsageError: the address may not be used.
        BadInputError, ServiceUnavailableError: it cannot be read.
    """
    if "://" not in place:
        return _open_file(Path(place))
    address = check_address(place)
    request = urllib.request.Request(address, headers={"User-Agent": f"ragflow/{ragflow.__version__}"})
    # This machine is not asked for through a proxy.
    handlers: list[urllib.request.BaseHandler] = [_Redirects()]
    if _is_here(address):
        handlers.append(urllib.request.ProxyHandler({}))
    try:
        answer = urllib.request.build_opener(*handlers).open(request, timeout=ANSWER_SECONDS)
    except urllib.error.HTTPError as error:
        error.close()
        if error.code in (404, 410):
            raise FileNotFoundError(place) from error
        raise ServiceUnavailableError(
            f"{place} answered {error.code} {error.reason}.", remedy="Try again later, or name a source with --from."
        ) from error
    except (OSError, http.client.HTTPException) as error:
        why = error.reason if isinstance(error, urllib.error.URLError) else error
        raise ServiceUnavailableError(
            f"{urllib.parse.urlsplit(address).hostname} cannot be reached: {why}.",
            remedy="Check the network; or fetch on another machine and name its folder: ragflow models pull --from.",
        ) from error
    length = answer.headers.get("Content-Length")
    return _Opened(answer, int(length) if length and length.isdecimal() else None)


def _open_file(path: Path) -> _Opened:
    try:
        if not path.is_file() and path.exists():
            raise BadInputError(f"{path} is not a file.", remedy="Correct --from.")
        return _Opened(path.open("rb"), path.stat().st_size)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise BadInputError(f"{path} cannot be read: {error.strerror}.", remedy="Correct --from.") from error


def check_address(address: str) -> str:
    """Return the address if it is https, or http on this machine.

    Raises:
        UsageError: it is not.
    """
    parts = urllib.parse.urlsplit(address)
    if parts.hostname and (parts.scheme == "https" or (parts.scheme == "http" and _is_here(address))):
        return address
    raise UsageError(f"Weights are not fetched from {address}.", remedy="Use an https address, or a folder.")


def _is_here(address: str) -> bool:
    host = urllib.parse.urlsplit(address).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows a redirection only to where we would go ourselves."""

    def redirect_request(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: Any, newurl: str
    ) -> urllib.request.Request | None:
        if urllib.parse.urlsplit(req.full_url).scheme == "https" and not newurl.startswith("https:"):
            raise UsageError(f"{req.full_url} leads to {newurl}, which is not https.", remedy="Name another source.")
        check_address(newurl)
        return super().redirect_request(req, fp, code, msg, headers, newurl)
