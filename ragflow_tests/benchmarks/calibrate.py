"""Fit the models that put readings together, on pages with known text; print how well they do on pages not seen.

    RAGFLOW_CORPORA=/path/to/corpora python -m ragflow_tests.benchmarks.calibrate [--write]

The pages are read once by the engines themselves, exactly as in production. A word counts as right if the page's true
text has it (case folded, letters and digits only). Each figure printed is cross-validated: by models that were fitted
without the page. ``--write`` replaces the weights that the package uses; they are fitted on all pages.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import pickle
import re
import sys
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ragflow.ocr import fusion
from ragflow.ocr.alignment import letters, matches, starts_seen
from ragflow.ocr.detection import sides
from ragflow.ocr.document import open_document
from ragflow.ocr.fusion import Judge, Kind, LineSurroundings, Pair
from ragflow.ocr.hybrid import LOOKS, HybridEngine
from ragflow.ocr.lexicon import Lexicon, load_lexicon
from ragflow.ocr.line_text import LineText, joined
from ragflow.ocr.options import ReadingOptions
from ragflow.ocr.page_text import FusedLine
from ragflow.ocr.rapidocr import ReadLine
from ragflow.ocr.tesseract import TesseractRecogniser

FOLDS = 6
SILENT = LineText("", "", (), ())
WEIGHTS = Path(fusion.__file__).with_name(fusion.WEIGHTS_FILE)

Example = tuple[dict[str, float], bool]


@dataclass(slots=True)
class KnownPage:
    """A page with its true words, and what the engines read on it before anything is decided.

    Every line is read by all, for there are few known pages to learn from; ``weak`` are those that production would
    have had read again.
    """

    name: str
    group: str
    truth: frozenset[str]
    languages: tuple[str, ...]
    lines: list[ReadLine]
    again: dict[int, list[LineText]]
    other: dict[int, LineText]
    weak: frozenset[int]
    relative: list[float]
    merged: list[LineText] = field(default_factory=list)

    @property
    def lexicon(self) -> Lexicon:
        return load_lexicon(self.languages)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kept", type=Path, help="a file to keep the readings in, or to take them from")
    parser.add_argument("--write", action="store_true", help="replace the package's weights")
    asked = parser.parse_args(arguments)
    corpora = os.environ.get("RAGFLOW_CORPORA")
    if not corpora:
        print("Set RAGFLOW_CORPORA to the folder that holds ocr/INDEX.csv.", file=sys.stderr)
        return 2
    if asked.kept and asked.kept.exists():
        pages = pickle.loads(asked.kept.read_bytes())
    else:
        pages = list(read_pages(Path(corpora) / "ocr"))
        if asked.kept:
            asked.kept.write_bytes(pickle.dumps(pages))
    report(pages)
    models = fit_all(pages)
    if asked.write:
        stored = {
            "fitted_on": {"pages": len(pages), "lines": sum(len(page.lines) for page in pages)},
            "models": {
                name: {
                    "bias": round(judge.bias, 4),
                    "weights": {feature: round(weight, 4) for feature, weight in judge.weights.items()},
                }
                for name, judge in models.items()
            },
        }
        WEIGHTS.write_text(json.dumps(stored, indent=1) + "\n", "utf-8")
    return 0


def read_pages(folder: Path) -> Iterator[KnownPage]:
    """Read every page of the index with the engines' own code."""
    options = ReadingOptions()
    engine = HybridEngine(options, [TesseractRecogniser(options.page_seconds)])
    with (folder / "INDEX.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    for number, row in enumerate(rows):
        print(f"\r{number + 1}/{len(rows)}", end="", file=sys.stderr, flush=True)
        with open_document(folder / row["image"]) as document, document.page(0, options.max_page_pixels) as page:
            raster = page.render(engine.dpi(page))
        lines = [line for line in engine.first.read_page(raster.pixels)[0] if line.text.text]
        languages = engine.languages(lines)
        lexicon = load_lexicon(languages)
        again = [engine.first.read_lines(raster.pixels, [line.quad for line in lines], look) for look in LOOKS]
        bare = [FusedLine(line.quad, (), False) for line in lines]
        other = engine.second_opinion(engine.seconds[0], raster, bare, range(len(lines)), languages)
        heights = [sides(line.quad)[1] for line in lines]
        usual = max(1.0, float(np.median(heights))) if heights else 1.0
        yield KnownPage(
            name=row["page_id"],
            group=row["set"],
            truth=frozenset(tokens((folder / row["truth"]).read_text())),
            languages=languages,
            lines=lines,
            again={index: [texts[index] for texts in again] for index in range(len(lines))},
            other=dict(other),
            weak=frozenset(index for index, line in enumerate(lines) if engine.is_weak(line.text, lexicon)),
            relative=[height / usual for height in heights],
        )
    print(file=sys.stderr)


def tokens(text: str) -> list[str]:
    return re.findall(r"\w+", unicodedata.normalize("NFC", text).casefold())


def share_right(text: str, truth: frozenset[str]) -> float | None:
    found = tokens(text)
    return sum(word in truth for word in found) / len(found) if found else None


def spacing_examples(pairs: Sequence[tuple[LineText, LineText, KnownPage]]) -> list[Example]:
    examples = []
    for first, second, page in pairs:
        one, two = letters(first), letters(second)
        text = one.text.text
        partners = matches(text, two.text.text)
        for index, seen in enumerate(starts_seen(partners, two)):
            if seen is None or seen == one.starts[index]:
                continue
            start = max((i for i in range(index) if one.starts[i]), default=0)
            end = min((i for i in range(index + 1, len(text)) if one.starts[i]), default=len(text))
            parted = share_right(f"{text[start:index]} {text[index:end]}", page.truth)
            whole = share_right(text[start:end], page.truth)
            if parted is not None and whole is not None and parted != whole:
                features = fusion.spacing_features(one, two, partners, index, page.lexicon)
                examples.append((features, parted > whole))
    return examples


def choice_examples(pairs: Sequence[tuple[LineText, LineText, KnownPage]], kind: Kind) -> list[Example]:
    examples = []
    for first, second, page in pairs:
        one, two = letters(first), letters(second)
        partners = matches(one.text.text, two.text.text)
        starts = fusion.settled_starts(one, two, partners, page.lexicon, kind)
        for pair in fusion.pair_words(one, two, partners, starts):
            if tokens(pair.first.text) == tokens(pair.second.text):
                continue
            rights = [share_right(reading.text, page.truth) for reading in pair]
            # Marks only, against letters that are no word: neither is worth more.
            first_right, second_right = (0.0 if right is None else right for right in rights)
            if first_right != second_right:
                examples.append((fusion.choice_features(pair, page.lexicon), second_right > first_right))
    return examples


def settled_words(page: KnownPage) -> Iterator[tuple[LineText, dict[str, float]]]:
    """Yield the words of a page as production would settle on them, with the features of the last model."""
    for index, line in enumerate(page.lines):
        heard = index in page.weak and index in page.other
        text = page.merged[index] if heard else line.text
        if heard:
            pairs, believed = fusion.fuse(text, page.other[index], page.lexicon, "other")
        else:
            pairs = [Pair(word, SILENT) for word in text.words()]
            believed = [False] * len(pairs)
        said = [pair.second if second else pair.first for pair, second in zip(pairs, believed, strict=True)]
        line_text = joined(said) if said else SILENT
        around = LineSurroundings(line_text.mean, line.score, page.relative[index])
        for pair, second, word in zip(pairs, believed, said, strict=True):
            if word.text:
                yield word, fusion.right_features(pair, second, heard, page.lexicon, around)


def right_examples(pages: Sequence[KnownPage]) -> list[Example]:
    examples = []
    for page in pages:
        for word, features in settled_words(page):
            right = share_right(word.text, page.truth)
            if right is not None:
                examples.append((features, right > 0.5))
    return examples


def fit(examples: Sequence[Example]) -> Judge:
    """Return the logistic model of some examples."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    names = list(examples[0][0])
    values = np.array([[features[name] for name in names] for features, _ in examples])
    model: Any = make_pipeline(StandardScaler(), LogisticRegression(C=0.5, max_iter=2000))
    model.fit(values, np.array([yes for _, yes in examples]))
    weights = model[1].coef_[0] / model[0].scale_
    bias = float(model[1].intercept_[0] - (weights * model[0].mean_).sum())
    return Judge(dict(zip(names, map(float, weights), strict=True)), bias)


def fit_all(pages: Sequence[KnownPage]) -> dict[str, Judge]:
    """Fit all five models on some pages, each on what the ones before it decide; they are in use afterwards."""
    models: dict[str, Judge] = {}
    fusion.judges = lambda: models  # type: ignore[assignment]
    looks = [
        (page.lines[index].text, text, page)
        for page in pages
        for index, texts in page.again.items()
        for text in texts
        if text.text
    ]
    models["spacing_again"] = fit(spacing_examples(looks))
    models["choice_again"] = fit(choice_examples(looks, "again"))
    merge(pages)
    heard = [(page.merged[i], text, page) for page in pages for i, text in page.other.items()]
    heard = [(first, second, page) for first, second, page in heard if first.text and second.text]
    models["spacing_other"] = fit(spacing_examples(heard))
    models["choice_other"] = fit(choice_examples(heard, "other"))
    models["right"] = fit(right_examples(pages))
    return models


def merge(pages: Sequence[KnownPage]) -> None:
    from ragflow.ocr.word_fusion import looked_again

    for page in pages:
        page.merged = []
        for index, line in enumerate(page.lines):
            text = line.text
            for look in page.again[index]:
                text = looked_again(text, look, page.lexicon)
            page.merged.append(text)


def report(pages: Sequence[KnownPage]) -> None:
    """Print the reliability table, each page judged by models fitted without it."""
    sure: list[float] = []
    raw: list[float] = []
    right: list[bool] = []
    judges = fusion.judges
    for fold in range(FOLDS):
        seen = [page for number, page in enumerate(pages) if number % FOLDS != fold]
        unseen = [page for number, page in enumerate(pages) if number % FOLDS == fold]
        models = fit_all(seen)
        merge(unseen)
        for page in unseen:
            for word, features in settled_words(page):
                share = share_right(word.text, page.truth)
                if share is not None:
                    sure.append(models["right"].probability(features))
                    raw.append(word.mean)
                    right.append(share > 0.5)
    fusion.judges = judges
    for title, confidences in (("the engines' own confidence", raw), ("calibrated", sure)):
        print(f"\n{title}\n{'from':>6} {'words':>7} {'said':>7} {'right':>7}")
        said, true = np.array(confidences), np.array(right)
        error = 0.0
        for tenth in range(10):
            inside = (said >= tenth / 10) & ((said < (tenth + 1) / 10) | (tenth == 9))
            if inside.any():
                error += float(inside.sum()) * abs(float(said[inside].mean()) - float(true[inside].mean()))
                print(f"{tenth / 10:6.1f} {inside.sum():7d} {said[inside].mean():7.3f} {true[inside].mean():7.3f}")
        print(f"expected calibration error {error / len(true):.4f} over {len(true)} words")


if __name__ == "__main__":
    sys.exit(main())
