"""Near-identical texts, and hits that are unlike each other."""

from __future__ import annotations

import numpy as np
import pytest

from ragflow.pipeline.variety import Likeness, diverse

LETTER = (
    "The keeper of the lighthouse asks the harbour board for forty gallons of oil before the winter, since the lamp "
    "has been burning through the fogs of September and the store is all but empty."
)


@pytest.mark.parametrize(
    ("other", "same"),
    [
        (LETTER, True),
        (LETTER.upper(), True),
        (LETTER.replace("lighthouse", "lighthcuse"), True),  # a slip of OCR
        (LETTER.replace("forty gallons of oil", "ten sacks of coal"), False),
        (LETTER.split(",")[0], False),
        ("", False),
    ],
)
def test_two_readings_of_one_text_count_as_one(other: str, same: bool) -> None:
    assert Likeness(LETTER).is_nearly(Likeness(other)) is same
    assert Likeness(other).is_nearly(Likeness(LETTER)) is same


def test_short_texts_are_compared_whole() -> None:
    assert Likeness("Page 3").is_nearly(Likeness("PAGE 3"))
    assert not Likeness("Page 3").is_nearly(Likeness("Page 4"))
    assert Likeness("").is_nearly(Likeness(" "))


def test_diversity_goes_from_worth_alone_to_difference_alone() -> None:
    scores = [0.9, 0.89, 0.5, 0.1]
    vectors = np.array([[1, 0], [1, 0], [0.8, 0.6], [0, 1]], dtype=np.float32)
    assert diverse(scores, vectors, 4, 0.0) == [0, 1, 2, 3]
    assert diverse(scores, vectors, 2, 1.0) == [0, 3]
    assert diverse(scores, vectors, 2, 0.4) == [0, 1]
    assert diverse(scores, vectors, 2, 0.6) == [0, 3]
    assert diverse([], np.zeros((0, 2), np.float32), 3, 0.5) == []
    assert sorted(diverse([0.5, 0.5], vectors[:2], 9, 0.5)) == [0, 1]
