"""Real weights for docTR's real networks, made in seconds, that read one page right.

Nothing is trained: the networks have random weights, and only the last layer of each is solved for, by least squares,
so that on this one page it says what is there. All that stands between the pixels and the words (scaling, crops,
batches, decoding, lines) is thereby put to the test.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

from ragflow.ocr.doctr_models import MODELS_JSON, DoctrModels, Weights, doctr_folder

ROWS = (("ferry", "crosses", "river"), ("midi", "grève"), ("children", "clock"))
VOCAB = "abcdefghijklmnopqrstuvwxyzèé"
DETECTION, RECOGNITION = "db_mobilenet_v3_large", "crnn_mobilenet_v3_small"
SIDE = 1000

Pixels = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Known:
    """The page that the weights can read, and what is on it: text and box (pixels) of each word, line by line."""

    page: Pixels
    lines: tuple[tuple[tuple[str, tuple[float, float, float, float]], ...], ...]
    detection: bytes
    recognition: bytes


def draw_page() -> tuple[Pixels, tuple[tuple[tuple[str, tuple[float, float, float, float]], ...], ...]]:
    image = Image.new("L", (SIDE, SIDE), 255)
    draw = ImageDraw.Draw(image)
    font = ImageFont.load_default(60)
    lines = []
    for number, row in enumerate(ROWS):
        left, line = 80.0, []
        for word in row:
            box = draw.textbbox((left, 150 + 260 * number), word, font=font)
            draw.text((left, 150 + 260 * number), word, font=font, fill=0)
            line.append((word, box))
            left = box[2] + 90
        lines.append(tuple(line))
    return np.asarray(image), tuple(lines)


def make_known() -> Known:
    """Solve for the weights; takes some 20 seconds on one core."""
    import torch

    page, lines = draw_page()
    words = [word for line in lines for word in line]
    with torch.random.fork_rng():
        torch.manual_seed(0)
        detection, boxes = _fit_detection(page, [box for _, box in words])
        recognition = _fit_recognition(page, boxes, words)
    return Known(page, lines, _saved(detection), _saved(recognition))


def random_weights() -> Known:
    """Return weights of the same networks that read nothing; made in a second."""
    from doctr.models import detection, recognition

    page, lines = draw_page()
    find = getattr(detection, DETECTION)(pretrained=False, pretrained_backbone=False)
    read = getattr(recognition, RECOGNITION)(pretrained=False, pretrained_backbone=False, vocab=VOCAB)
    return Known(page, lines, _saved(find), _saved(read))


def _saved(network: Any) -> bytes:
    import torch

    buffer = io.BytesIO()
    torch.save(network.state_dict(), buffer)
    return buffer.getvalue()


def _coloured(pixels: Pixels) -> Pixels:
    return np.repeat(pixels[:, :, np.newaxis], 3, axis=2)


def _settle_statistics(network: Any) -> None:
    """Have the next pass in training mode set the statistics of all normalisations."""
    import torch

    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = None
            module.reset_running_stats()


def _solve(features: Any, wanted: Any, weights: Any) -> Any:
    """Return the least squares solution, a row for the constant last."""
    import torch

    rows = torch.cat([features, torch.ones(len(features), 1)], dim=1).double()
    matrix = (rows * weights).T @ rows
    ridge = 1e-8 * matrix.trace() / len(matrix) * torch.eye(len(matrix), dtype=torch.double)
    return torch.linalg.solve(matrix + ridge, (rows * weights).T @ wanted.double())


def _fit_detection(page: Pixels, boxes: Sequence[tuple[float, float, float, float]]) -> tuple[Any, Any]:
    import torch
    from doctr.models import detection
    from doctr.models.detection.zoo import detection_predictor

    network = getattr(detection, DETECTION)(pretrained=False, pretrained_backbone=False)
    predictor = detection_predictor(network)
    batch = predictor.pre_processor([_coloured(page)])[0]
    size = batch.shape[-1]
    _settle_statistics(network)

    def features() -> Any:
        maps = network.feat_extractor(batch)
        return network.prob_head[:-1](network.fpn([maps[str(level)] for level in range(len(maps))]))

    with torch.no_grad():
        network.train()
        features()
        network.eval()
        found = features()[0]
    mask = np.zeros((size, size), np.float32)
    for left, top, right, bottom in boxes:
        scale = size / SIDE
        mask[int(top * scale) : int(bottom * scale), int(left * scale) : int(right * scale)] = 1
    half = size // 2
    wanted = torch.from_numpy(mask).reshape(half, 2, half, 2).permute(0, 2, 1, 3).reshape(-1, 4).mean(1, keepdim=True)
    flat = found.permute(1, 2, 0).reshape(half * half, -1)
    solution = _solve(flat, 2 * wanted - 1, torch.where(wanted > 0, 5.0, 1.0).double()) * 8
    last = network.prob_head[-1]
    with torch.no_grad():
        last.weight.copy_(solution[:-1].reshape(-1, 1, 1, 1).expand_as(last.weight).float())
        last.bias.fill_(float(solution[-1]) - 0.8)
    return network, predictor([_coloured(page)])[0]["words"]


def _fit_recognition(page: Pixels, boxes: Any, words: Sequence[tuple[str, tuple[float, float, float, float]]]) -> Any:
    import torch
    from doctr.models import recognition
    from doctr.models.recognition.zoo import recognition_predictor
    from doctr.utils.geometry import extract_crops

    network = getattr(recognition, RECOGNITION)(pretrained=False, pretrained_backbone=False, vocab=VOCAB)
    predictor = recognition_predictor(network)
    crops = [_coloured(crop) for crop in extract_crops(page, boxes[:, :4])]
    batch = predictor.pre_processor(crops)[0]
    _settle_statistics(network)

    def features() -> Any:
        maps = network.feat_extractor(batch)
        flat = maps.reshape(maps.shape[0], -1, maps.shape[-1]).transpose(1, 2)
        return network.decoder(flat)[0]

    with torch.no_grad():
        network.train()
        features()
        network.eval()
        found = features()
    steps = found.shape[1]
    wanted = torch.zeros(len(crops), steps, len(VOCAB) + 1)
    for number, box in enumerate(boxes[:, :4] * SIDE):
        wanted[number, :, len(VOCAB)] = 1.0
        # A crop keeps its proportions: the rest of the network's input, to the right, is empty.
        height, width = crops[number].shape[:2]
        used = min(1.0, width / height * batch.shape[-2] / batch.shape[-1])
        for at, letter in _path(_word_in(box, words), steps * used):
            wanted[number, at] = 0.0
            wanted[number, at, VOCAB.index(letter)] = 1.0
    flat = found.reshape(len(crops) * steps, -1)
    solution = _solve(flat, wanted.reshape(len(flat), -1), torch.ones(len(flat), 1).double()) * 20
    with torch.no_grad():
        network.linear.weight.copy_(solution[:-1].T.float())
        network.linear.bias.copy_(solution[-1].float())
    return network


def _word_in(box: Any, words: Sequence[tuple[str, tuple[float, float, float, float]]]) -> str:
    """Return the word that the box holds most of; a scrap holds none."""
    for text, (left, top, right, bottom) in words:
        wide, high = min(right, box[2]) - max(left, box[0]), min(bottom, box[3]) - max(top, box[1])
        if wide > 0 and high > 0 and wide * high > 0.5 * (right - left) * (bottom - top):
            return text
    return ""


def _path(text: str, steps: float) -> list[tuple[int, str]]:
    """Return at which steps which letter is told, evenly spread; nothing is told in between."""
    return [(int((number + 1) * steps / (len(text) + 1)), letter) for number, letter in enumerate(text)]


def models_of(folder: Path, known: Known, source: str = "made by a test") -> DoctrModels:
    """Return the record of the weights, for files in ``folder``."""

    def weights(architecture: str, file: str, raw: bytes) -> Weights:
        return Weights(architecture, file, hashlib.sha256(raw).hexdigest(), len(raw), source)

    return DoctrModels(
        folder,
        weights(DETECTION, "detection.pt", known.detection),
        weights(RECOGNITION, "recognition.pt", known.recognition),
        VOCAB,
    )


def write_files(folder: Path, known: Known) -> DoctrModels:
    """Write ``models.json`` and both files into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "detection.pt").write_bytes(known.detection)
    (folder / "recognition.pt").write_bytes(known.recognition)
    made = models_of(folder, known)
    (folder / MODELS_JSON).write_bytes(made.to_json())
    return made


def write_models(models: Path, known: Known) -> DoctrModels:
    """Write the weights into a models folder, as a pull does."""
    return write_files(doctr_folder(models), known)
