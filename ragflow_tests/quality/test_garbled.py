from __future__ import annotations

import random
import string
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image

from ragflow.model.reading import PageReading
from ragflow.model.verdicts import MAX_ROWS, Outcome
from ragflow.model.words import words_table
from ragflow.ocr.options import ReadingOptions
from ragflow.ocr.reader import read_pages
from ragflow.pipeline.garbled import word_judge
from ragflow.quality.garbled import (
    IMPLAUSIBLE,
    NOT_JUDGED,
    PLAUSIBLE,
    LetterTable,
    Region,
    WordJudge,
    folded,
    garbled_regions,
    garbled_text,
)
from ragflow.sample import write_scan_pdf
from ragflow.sample.scan_pdf import ScanLook, scan_images
from ragflow.sample.text_pdf import plain_blocks

LANGUAGES = ("eng", "fra")

LETTER = (
    "Sirs, I have to report that your schooner Petrel took the ground on the Calf Rocks at low water on Sunday last. "
    "She was hauled off on the night tide by the tug Samson and lies now at the coal wharf with four planks started "
    "on the port side. The pilot, Jonas Trewhella, says that the buoy had dragged. I went out myself with the lead "
    "and found the buoy one hundred and sixty yards east of its proper place. No blame can fall upon your master."
)
MINUTES = (
    "Le conseil municipal décide de réparer la toiture du lavoir avant l'hiver et vote quarante francs. "
    "L'institutrice demande un poêle neuf pour l'école, car les enfants ont froid en janvier ; qu'il soit acheté "
    "d'occasion à Guingamp ou à Ploërmel. Aujourd'hui même, M. Lefèvre, adjoint, s'est engagé à y pourvoir."
)
OLD_SPELLING = (
    "Whan that Aprille with his shoures soote the droghte of Marche hath perced to the roote and bathed every veyne "
    "in swich licour. Il faict cognoistre aux subjectz que le Roy nostre Sire ha ordonné que toutz les marchandz "
    "estrangiers doibvent payer droict pour leurs denrées, et sçavoir faisons que nul ne pourra achepter vins."
)
NUMBERS = (
    "Total 1,204.50 311.00 -17% 12/04/1998 (4.5) $40,921.30 1976 84,309.94 EUR 00:41:07 3.5x10 6m2 12kg XIV 2nd " * 4
)
NAMES_AND_CODES = (
    "Trewhella Marchbanks Fiorentino Vandenberg Nguyen Leclerc Szymanski INV-2023/045 SKGC-4518 BX12C TRX-9000 QZX "
    "Desjardins Ploumanach Guingamp Kjeldsen KLM DTR GHKJ 334-PQRS AA-BB-CC A.B.C. j.smith@example.co.uk www.mairie.fr "
    "Lakshminarayan Quevilly Lorillard Winston-Salem HHT/22/K No.:(124525-H) Attn:Mr.Smith McDonald 5th 6%"
)
UNITS = "pcs kg cm pcs pcs doz ml pcs kg pcs m ea " * 8
FORMULAS = "f (x) = a x + b y - c (a + b) (x + y) sin x cos y where the slope of the line is given by the number above"

GOOD = {
    "letter": LETTER,
    "French": MINUTES,
    "French without accents": folded(MINUTES),
    "capitals": LETTER.upper(),
    "old spelling": OLD_SPELLING,
    "numbers": NUMBERS,
    "names and codes": NAMES_AND_CODES,
    "units": UNITS,
    "formulas": FORMULAS,
}


def caesar(text: str) -> str:
    low, high = string.ascii_lowercase, string.ascii_uppercase
    return text.translate(str.maketrans(low + high, low[3:] + low[:3] + high[3:] + high[:3]))


def any_letters(text: str) -> str:
    chance = random.Random(5)
    return "".join(chance.choice(string.ascii_lowercase) if letter.isalpha() else letter for letter in text)


def with_signs(text: str) -> str:
    chance = random.Random(7)
    return "".join(c + chance.choice("~^|{}[]<>=#%;:.,") if c != " " and chance.random() < 0.3 else c for c in text)


GARBAGE: dict[str, Callable[[str], str]] = {
    "any letters": any_letters,
    "shifted letters": caesar,
    "shifted capitals": lambda text: caesar(text).upper(),
    "signs among letters": with_signs,
    "backwards": lambda text: " ".join(word[::-1] for word in text.split()),
    # As Tesseract reads Cyrillic without its language data.
    "another script": lambda text: (
        "CoBeT NOcTaHOBUJI OTPEMOHTUPOBATE Kpbillly WpateuHou HO HACTYIICHAH 3AMBI 4 BBIHeJHII Ha 9TO COPOK pyOneu "
        "l'PAHATHBIA Kapbep HaJI peKO GEII 3aKPBIT HOCJIE TOTO KaK HaBOJHHeHHE YHECJIO HOHBEMHEIA KpaH"
    ),
    # As RapidOCR reads lines that stand on their head.
    "shreds": lambda text: (
        "Yea o i n d n n n wnsec. bo y s s s o d o sik as s a a l o o n a o a e ss o o s S a n n on r "
        "Cals s s oi s s i s s er l o g o s n s heg"
    ),
}


@pytest.fixture(scope="module")
def judge() -> WordJudge:
    return word_judge(LANGUAGES)


def page(*paragraphs: str, per_line: int = 8) -> pa.Table:
    """Return the words of a page, each paragraph a block."""
    rows = []
    line = 0
    for block, paragraph in enumerate(paragraphs):
        words = paragraph.split()
        for start in range(0, len(words), per_line):
            rows += [{"text": word, "block": block, "line": line} for word in words[start : start + per_line]]
            line += 1
    return pa.Table.from_pylist(rows)


def regions(judge: WordJudge, *paragraphs: str) -> list[Region]:
    words = page(*paragraphs)
    return garbled_regions(words, np.zeros(words.num_rows, np.int64), judge)


@pytest.mark.parametrize("text", GOOD.values(), ids=GOOD.keys())
def test_what_was_read_well_is_no_garbage(judge: WordJudge, text: str) -> None:
    assert regions(judge, text) == []


@pytest.mark.parametrize("garbage", GARBAGE.values(), ids=GARBAGE.keys())
def test_garbage_between_good_paragraphs_is_found(judge: WordJudge, garbage: Callable[[str], str]) -> None:
    spoilt = " ".join(garbage(LETTER).split()[:50])
    found = regions(judge, LETTER, spoilt, MINUTES)
    assert found
    # A region ends with a line, and may take a line of its neighbours in.
    assert {region.block for region in found} <= {0, 1}
    assert any(word in region.begins.split() for region in found for word in spoilt.split())
    assert not regions(judge, LETTER, MINUTES)


def test_garbage_is_found_in_one_block_with_good_lines(judge: WordJudge) -> None:
    words = LETTER.split()
    spoilt = caesar(" ".join(words[24:56]))
    (region,) = regions(judge, " ".join([*words[:24], spoilt, *words[56:]]))
    assert region.block == 0
    assert set(region.begins.split()) & set(spoilt.split())


def test_garbage_in_many_small_blocks_is_found(judge: WordJudge) -> None:
    words = caesar(LETTER).split()
    assert regions(judge, *(" ".join(words[start : start + 4]) for start in range(0, 40, 4)))


def test_few_words_tell_nothing(judge: WordJudge) -> None:
    few = "rvdwxyq bzkfh wqrtp vvrqk jkdfhg"
    assert regions(judge, few) == []
    assert len(regions(judge, f"{few} {any_letters('schooner harbour planks buoy')}")) == 1


def test_a_region_ends_with_its_page(judge: WordJudge) -> None:
    words = page("rvdwxyq bzkfh wqrtp vvrqk jkdfhg", "xqwzrt pbdfgk wrtzq mnbvcx qqwrtz")
    blocks = words.column("block").to_numpy().astype(np.int64)
    assert garbled_regions(words, blocks, judge) == []
    (region,) = garbled_regions(words, np.full(words.num_rows, 4), judge)
    assert (region.page, region.judged, region.implausible) == (4, 10, 10)
    assert region.begins == "rvdwxyq bzkfh wqrtp vvrqk jkdfhg xqwzrt pbdfgk wrtzq mnbvcx qqwrtz"[:60]


def test_pages_are_judged_alike_alone_and_together(judge: WordJudge) -> None:
    texts = [LETTER, caesar(LETTER), MINUTES, any_letters(MINUTES), NUMBERS]
    tables = [page(text) for text in texts]
    numbers = np.repeat(np.arange(len(tables)), [table.num_rows for table in tables])
    together = garbled_regions(pa.concat_tables(tables), numbers, judge)
    assert {region.page for region in together} == {1, 3}
    assert [r.begins for r in together] == [r.begins for text in texts for r in regions(judge, text)]


def test_a_page_without_words_has_no_region(judge: WordJudge) -> None:
    empty = words_table("0" * 64, 0, []).select(["text", "block", "line"])
    assert garbled_regions(empty, np.zeros(0, np.int64), judge) == []


@pytest.mark.parametrize(
    ("word", "judgement"),
    [
        ("harbour", PLAUSIBLE),
        ("HARBOUR,", PLAUSIBLE),
        ("(harbour)", PLAUSIBLE),
        ("l'évêque", PLAUSIBLE),
        ("évêque", PLAUSIBLE),
        ("eveque", PLAUSIBLE),
        ("Trewhella", PLAUSIBLE),
        ("Attn:Mr.Smith", PLAUSIBLE),
        ("2ndAvenue", PLAUSIBLE),
        ("www.example.org/reports", PLAUSIBLE),
        ("on", NOT_JUDGED),
        ("12,345.00", NOT_JUDGED),
        ("12/04/1998", NOT_JUDGED),
        ("INV-2023/045", NOT_JUDGED),
        ("SKGC-4518", NOT_JUDGED),
        ("A4B7Q", NOT_JUDGED),
        ("XQZT", NOT_JUDGED),
        ("xxxxxxx", NOT_JUDGED),
        ("MDCCCLXXXVIII", NOT_JUDGED),
        ("rvbssz", IMPLAUSIBLE),
        ("RVBSSZKQ", IMPLAUSIBLE),
        ("q1ua2rr3y", IMPLAUSIBLE),
        ("q#ua~rry", IMPLAUSIBLE),
        ("NocTaHOBUN", IMPLAUSIBLE),
        ("приказ", IMPLAUSIBLE),
    ],
)
def test_a_word_is_judged(judge: WordJudge, word: str, judgement: int) -> None:
    assert judge.judge(pa.array([word])).judgements.tolist() == [judgement]


def test_letters_that_count_for_shreds(judge: WordJudge) -> None:
    words = ["boat", "o", "KG", "HARBOUR", "x2", "1998", "é."]
    assert judge.judge(pa.array(words)).letters.tolist() == [4, 1, 0, 7, 0, 0, 1]


def test_judging_twice_is_judging_once(judge: WordJudge) -> None:
    words = pa.array([*caesar(LETTER).split(), *LETTER.split()])
    assert judge.judge(words).judgements.tolist() == judge.judge(words).judgements.tolist()


def test_no_lexicon_is_no_judge() -> None:
    assert not WordJudge([])
    assert WordJudge(["harbour"])


def test_the_letters_of_a_language_are_those_of_its_words() -> None:
    table = LetterTable(["приказ", "показ", "указ", "наказ", "рассказ"])
    known, backwards, foreign = table.likelihood(["показ", "закоп", "harbour"])
    assert known > backwards > foreign
    assert table.likelihood([]).tolist() == []


def read(path: Path) -> PageReading:
    options = ReadingOptions(engines=("tesseract",), languages=LANGUAGES)
    (reading,) = read_pages(path, [0], options)
    return reading


def read_regions(judge: WordJudge, reading: PageReading) -> list[Region]:
    words = words_table("0" * 64, 0, reading.words).select(["text", "block", "line"])
    return garbled_regions(words, np.zeros(words.num_rows, np.int64), judge)


@pytest.mark.parametrize("paragraphs", [[LETTER], [MINUTES], [NAMES_AND_CODES], [NUMBERS, LETTER]])
def test_a_scan_that_was_read_well_has_no_garbled_region(
    judge: WordJudge, tmp_path: Path, paragraphs: Sequence[str]
) -> None:
    write_scan_pdf(tmp_path / "scan.pdf", [paragraphs], dpi=150, seed=3)
    reading = read(tmp_path / "scan.pdf")
    assert len(reading.words) > 20
    assert read_regions(judge, reading) == []


def test_the_half_of_a_scan_that_stands_on_its_head_is_a_garbled_region(judge: WordJudge, tmp_path: Path) -> None:
    (scan,) = scan_images([plain_blocks([LETTER] * 3)], ScanLook(dpi=150, skew_degrees=0.0, noise=0.005), seed=3)
    rows = np.flatnonzero((np.asarray(scan) < 120).sum(1) > 3)
    above, below = int(rows.min()), int(rows.max())
    # Two paragraphs upright, the third turned.
    gap = above + round((below - above) * 0.68)
    scan.paste(scan.crop((0, gap, scan.width, below + 20)).transpose(Image.Transpose.ROTATE_180), (0, gap))
    scan.save(tmp_path / "turned.png", dpi=(150, 150))
    reading = read(tmp_path / "turned.png")
    assert reading.text.startswith("Sirs, I have to report")
    found = read_regions(judge, reading)
    assert found
    assert "schooner" not in found[0].begins


def region(number: int, block: int = 0, **changes: object) -> Region:
    values = {"page": number, "block": block, "judged": 10, "implausible": 8, "shreds": 0.8, "begins": "rvbssz kfh"}
    return Region(**{**values, **changes})  # type: ignore[arg-type]


def test_no_garbled_region_passes() -> None:
    verdict = garbled_text([], 40, 0.05)
    assert (verdict.name, verdict.outcome, verdict.figure, verdict.threshold) == ("garbled_text", "pass", 0.0, 0.05)
    assert verdict.rows == ()
    assert garbled_text([], 0, 0.05).outcome is Outcome.PASS


def test_a_few_garbled_pages_warn_and_more_fail() -> None:
    two_regions_of_a_page = [("inbox/a.pdf", region(3)), ("inbox/a.pdf", region(3, 5))]
    warned = garbled_text(two_regions_of_a_page, 20, 0.05)
    assert (warned.outcome, warned.figure, warned.passed) == (Outcome.WARN, 0.05, True)
    failed = garbled_text([*two_regions_of_a_page, ("inbox/b.pdf", region(3))], 20, 0.05)
    assert (failed.outcome, failed.figure, failed.passed) == (Outcome.FAIL, 0.1, False)
    assert "2 of 20 pages" in failed.summary
    assert "ragflow reocr" in warned.remedy
    assert "gate.garbled" in failed.remedy


def test_the_worst_regions_are_named_first() -> None:
    found = [("inbox/a.pdf", region(number, implausible=number)) for number in range(MAX_ROWS + 5)]
    rows = garbled_text(found, 1000, 0.05).rows
    assert len(rows) == MAX_ROWS
    assert rows[0] == {
        "document": "inbox/a.pdf",
        "page": MAX_ROWS + 5,
        "region_begins": "rvbssz kfh",
        "judged_words": 10,
        "implausible_words": MAX_ROWS + 4,
        "shreds": 0.8,
    }
