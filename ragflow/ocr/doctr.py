"""The engine that reads pixels with docTR: one network finds the words, another reads them.

docTR is an optional extra, and its weights are fetched once by ``ragflow models pull doctr``. Nothing here uses the
network.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ragflow.errors import DependencyMissingError, RagflowError
from ragflow.ocr.doctr_models import PULL, DoctrModels, Weights, find_models, library_version, load_state
from ragflow.ocr.engine import EngineError
from ragflow.ocr.options import DOCTR
from ragflow.ocr.recognition import FoundLine, FoundWord

MAX_DETECTION_SIDE = 4096
"""A longer raster is reduced to this before words are looked for: the network sees 1,024 pixels anyway."""

MIN_SIDE = 4
"""A raster narrower or lower than this holds no word."""

MAX_WORDS = 10_000
"""A page of a newspaper has some 5,000 words; more is noise, and takes minutes to read."""

WORDS_AT_ONCE = 64


class DoctrRecogniser:
    """Reads with docTR on the processor; the same raster gives the same words, every time.

    Confidence is docTR's own: that of the least certain character of a word. Lines are found by docTR from the places
    of the words; it has no blocks. The languages are not used: the vocabulary decides which characters can be read.

    Args:
        models: the models folder; the weights lie in ``doctr`` below it.
        threads: for the arithmetic; more than one pays only if no other pages are read at the same time.
    """

    name = DOCTR

    def __init__(self, models: Path | None, threads: int = 1) -> None:
        self.runs = 0
        self._models = models
        self._threads = threads
        self._predictors: tuple[Any, Any] | None = None

    def recognise(self, pixels: npt.NDArray[np.uint8], dpi: int, languages: Sequence[str]) -> list[FoundLine]:
        if min(pixels.shape) < MIN_SIDE:
            return []
        if self._predictors is None:
            library_version()
            self._predictors = _load(find_models(self._models))
        self.runs += 1
        try:
            with _arithmetic_threads(self._threads):
                return self._read(pixels, *self._predictors)
        except (RagflowError, MemoryError):
            raise
        except Exception as error:
            # Two networks and their geometry: whatever they make of a hostile raster must cost that raster only.
            raise EngineError(f"docTR failed: {type(error).__name__}: {error}"[:500]) from error

    def _read(self, pixels: npt.NDArray[np.uint8], find: Any, read: Any) -> list[FoundLine]:
        from doctr.utils.geometry import extract_crops

        boxes = find([_coloured(_reduced(pixels))])[0]["words"]
        if len(boxes) > MAX_WORDS:
            raise EngineError(f"docTR finds {len(boxes)} words; more than {MAX_WORDS} are taken for noise.")
        # docTR pads the raster to a square; what it sees in the padding is outside.
        boxes = np.clip(boxes, 0.0, 1.0)
        height, width = pixels.shape
        boxes = boxes[((boxes[:, 2] - boxes[:, 0]) * width >= 1) & ((boxes[:, 3] - boxes[:, 1]) * height >= 1)]
        # A fixed order: equal batches give equal figures.
        boxes = boxes[np.lexsort((boxes[:, 0], boxes[:, 1]))]
        texts = read([_coloured(crop) for crop in extract_crops(pixels, boxes[:, :4])])
        return _lines(boxes, texts, pixels.shape)


def _lines(boxes: npt.NDArray[Any], texts: Sequence[tuple[str, float]], shape: tuple[int, ...]) -> list[FoundLine]:
    """Group words to lines, from the top; words without text are dropped.

    Args:
        boxes: one row per word: left, top, right, bottom as fractions of the raster, score.
        shape: rows and columns of the raster.
    """
    from doctr.models.builder import DocumentBuilder

    kept = [number for number, (text, _) in enumerate(texts) if text.strip()]
    if not kept:
        return []
    height, width = shape[:2]
    page = DocumentBuilder(resolve_lines=True, resolve_blocks=False)(
        [np.zeros((1, 1, 3), np.uint8)],
        [boxes[kept, :4]],
        [boxes[kept, 4]],
        [[texts[number] for number in kept]],
        [(height, width)],
        [[{"value": 0, "confidence": None}] * len(kept)],  # type: ignore[list-item]
    ).pages[0]
    lines = []
    for block in page.blocks:
        for line in block.lines:
            words = []
            for word in line.words:
                (left, top), (right, bottom) = word.geometry
                box = (float(left) * width, float(top) * height, float(right) * width, float(bottom) * height)
                words.append(FoundWord(word.value, *box, min(1.0, max(0.0, float(word.confidence)))))
            lines.append(FoundLine(tuple(words), -1))
    return lines


def _reduced(pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    longest = max(pixels.shape)
    if longest <= MAX_DETECTION_SIDE:
        return pixels
    import cv2

    height, width = (max(1, round(side * MAX_DETECTION_SIDE / longest)) for side in pixels.shape)
    return np.asarray(cv2.resize(pixels, (width, height), interpolation=cv2.INTER_AREA), dtype=np.uint8)


def _coloured(pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Return grey as the three equal channels that docTR's networks were trained on."""
    return np.repeat(pixels[:, :, np.newaxis], 3, axis=2)


@contextmanager
def _arithmetic_threads(number: int) -> Iterator[None]:
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(number)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@lru_cache(maxsize=1)
def _load(models: DoctrModels) -> tuple[Any, Any]:
    """Return docTR's predictors; loaded once per process, for as many recognisers as there are."""
    from doctr.models.detection.zoo import detection_predictor
    from doctr.models.recognition.zoo import recognition_predictor

    find = detection_predictor(build_detection(models.detection, load_state(models.folder, models.detection)))
    read = recognition_predictor(
        build_recognition(models.recognition, models.vocab, load_state(models.folder, models.recognition)),
        batch_size=WORDS_AT_ONCE,
    )
    return find, read


def build_detection(weights: Weights, state: dict[str, Any]) -> Any:
    """Return the network that finds words, with its weights.

    Raises:
        DependencyMissingError: docTR does not know the architecture, or the weights are those of another.
    """
    from doctr.models import detection
    from doctr.models.detection import zoo

    _check_known(weights, zoo.ARCHS)
    network = getattr(detection, weights.architecture)(pretrained=False, pretrained_backbone=False)
    _fill(network, weights, state)
    if isinstance(network, detection.FAST):
        from doctr.models.detection.fast import reparameterize

        network = reparameterize(network)
    return network


def build_recognition(weights: Weights, vocab: str, state: dict[str, Any]) -> Any:
    """Return the network that reads words, with its weights; raises as :func:`build_detection`."""
    from doctr.models import recognition
    from doctr.models.recognition import zoo

    _check_known(weights, zoo.ARCHS)
    network = getattr(recognition, weights.architecture)(pretrained=False, pretrained_backbone=False, vocab=vocab)
    _fill(network, weights, state)
    return network


def _check_known(weights: Weights, known: Sequence[str]) -> None:
    if weights.architecture not in known:
        raise DependencyMissingError(
            f"docTR {library_version()} does not know the architecture {weights.architecture!r}.",
            remedy=f"It knows {', '.join(known)}. Run: {PULL} --force",
        )


def _fill(network: Any, weights: Weights, state: dict[str, Any]) -> None:
    try:
        network.load_state_dict(state)
    except RuntimeError as error:
        raise DependencyMissingError(
            f"The weights {weights.file} are not those of {weights.architecture}.", remedy=f"Run: {PULL} --force"
        ) from error
    network.eval()
