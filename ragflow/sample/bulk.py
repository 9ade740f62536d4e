"""Many small documents for benchmarks: one-page letters and reports put together from lists of words."""

from __future__ import annotations

import random
from dataclasses import dataclass
from pathlib import Path

from ragflow.errors import UsageError
from ragflow.sample.text_pdf import write_text_pdf

_SENTENCES_PER_PARAGRAPH = 5


@dataclass(frozen=True, slots=True)
class _Vocabulary:
    """Templates, with fields in braces, and the words that fill them. ``{n}`` and ``{year}`` are numbers."""

    language: str
    heading: str
    templates: tuple[str, ...]
    words: dict[str, tuple[str, ...]]


_ENGLISH = _Vocabulary(
    language="en",
    heading="Paper {n} of the year {year}",
    templates=(
        "On the {n} day of the survey {person} reported that the {thing} near {place} was {state} and would cost {sum} "
        "pounds to put right.",
        "The {office} has received {n} letters from {place} about the {thing}, most of them signed by {person}.",
        "In {year} {person} bought the {thing} of {place} for {sum} pounds and let it to a {trade} "
        "for a term of {m} years.",
        "{person}, {trade}, asks leave to move the {thing} {m} yards nearer to {place} before the winter of {year}.",
        "After the flood of {year} the {thing} at {place} was found {state}, and {m} families "
        "were lodged by the {office}.",
        "The {trade} of {place} counted {n} carts and {m} boats in one week, which {person} holds to be too many "
        "for the {thing}.",
        "It was agreed between {person} and the {office} that the {thing} shall be closed for {m} days in every year, "
        "beginning with {year}.",
        "A {trade} from {place} offered {sum} shillings for the old {thing}, but {person} would not sell it "
        "for less than {n}.",
        "The ledger of {year} names {person} as the owner of {m} fields, a {thing} and a right of way to {place}.",
    ),
    words={
        "person": (
            "Mr Aldous Penrose",
            "Mrs Harriet Kemble",
            "Captain Noah Trask",
            "Miss Edith Varley",
            "Dr Simon Oakes",
            "Mr Reuben Hale",
            "Mrs Dorcas Finch",
            "Mr Walter Stride",
            "Miss Agnes Moy",
            "Mr Cuthbert Lisle",
        ),
        "place": (
            "Marsh End",
            "Havrelin",
            "Gallows Down",
            "Pound Hill",
            "Three Alders",
            "Long Strand",
            "Gull Head",
            "Mill Lane",
            "Tanner's Rise",
            "Swan Dock",
            "Castle Street",
        ),
        "thing": (
            "well",
            "footbridge",
            "lime kiln",
            "granary",
            "sluice",
            "boat house",
            "weighbridge",
            "orchard wall",
            "bakehouse",
            "signal mast",
            "cattle trough",
            "drying loft",
            "saw pit",
        ),
        "state": (
            "cracked from top to bottom",
            "in fair order",
            "overgrown with ivy",
            "badly silted",
            "better than was feared",
            "open to the rain",
            "newly painted",
            "leaning towards the road",
        ),
        "office": ("harbour office", "town clerk", "parish vestry", "board of works", "school committee", "land court"),
        "trade": ("carpenter", "ferryman", "wheelwright", "chandler", "miller", "surveyor", "ropemaker", "beekeeper"),
    },
)

_FRENCH = _Vocabulary(
    language="fr",
    heading="Pièce {n} de l'année {year}",
    templates=(
        "Le {n} du registre, {person} signale que {thing} de {place} est {state} et que la dépense "
        "s'élèvera à {sum} francs.",
        "{office} a reçu {n} lettres de {place} concernant {thing}, la plupart signées par {person}.",
        "En {year}, {person} acheta {thing} de {place} pour {sum} francs et en confia la garde à un {trade} "
        "pendant {m} ans.",
        "{person}, {trade}, demande à déplacer {thing} de {m} mètres vers {place} avant l'hiver de {year}.",
        "Après la crue de {year}, {thing} de {place} fut déclaré {state}, et {office} logea {m} familles.",
        "Le {trade} de {place} a compté {n} charrettes et {m} bateaux en une semaine, ce que {person} juge excessif.",
        "Il est convenu entre {person} et {office} que {thing} restera fermé {m} jours par an à partir de {year}.",
        "Un {trade} venu de {place} offre {sum} francs pour {thing}, mais {person} n'entend pas céder à moins de {n}.",
        "Le cadastre de {year} attribue à {person} {m} parcelles, {thing} et un droit de passage jusqu'à {place}.",
    ),
    words={
        "person": (
            "Mme Aurélie Kerbrat",
            "M. Honoré Lescop",
            "le capitaine Tugdual Rivoal",
            "Mlle Céleste Hamon",
            "le docteur Émile Guézennec",
            "M. Léon Bourhis",
            "la veuve Marzin",
            "M. Eugène Tallec",
            "Mlle Irène Quéau",
        ),
        "place": (
            "Sainte-Eulalie",
            "la Corbinière",
            "la Ville-Orain",
            "Port-Aubin",
            "Brémeur",
            "Havrelin",
            "Hautes-Terres",
            "Grève-Noire",
            "Pont-Neuf",
            "Belle-Fontaine",
        ),
        "thing": (
            "le puits",
            "le four à chaux",
            "le grenier",
            "le pressoir",
            "l'abreuvoir",
            "le hangar à bateaux",
            "le lavoir",
            "le mur du verger",
            "le séchoir",
            "le calvaire",
            "le moulin",
            "le déversoir",
        ),
        "state": (
            "fendu de haut en bas",
            "en état passable",
            "envahi par le lierre",
            "tout ensablé",
            "repeint à neuf",
            "ouvert à la pluie",
            "meilleur qu'on ne craignait",
            "penché vers la route",
        ),
        "office": ("la mairie", "le bureau du port", "la fabrique", "le conseil des travaux", "le juge de paix"),
        "trade": ("charpentier", "passeur", "charron", "meunier", "arpenteur", "cordier", "apiculteur", "tonnelier"),
    },
)

_VOCABULARIES = (_ENGLISH, _FRENCH)


def make_text_archive(folder: Path, documents: int, *, words_per_page: int = 350, seed: int = 0) -> None:
    """Write born-digital documents of one page each, English and French by turns, no two with the same text.

    They are named ``paper-000000.pdf`` and so on. A document depends on ``seed``, ``words_per_page`` and its number
    only, so a larger archive begins with the documents of a smaller one.

    Args:
        folder: made if it is not there.
        documents: how many, 0 or more.
        words_per_page: a page ends with the sentence that reaches this number.

    Raises:
        UsageError: a negative number, or more words than fit on a page.
    """
    if documents < 0 or words_per_page < 1:
        raise UsageError(
            f"{documents} documents of {words_per_page} words cannot be written.",
            remedy="Ask for 0 or more documents of at least one word.",
        )
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(documents):
        vocabulary = _VOCABULARIES[number % len(_VOCABULARIES)]
        source = random.Random(f"{seed}:{number}")
        heading = vocabulary.heading.format(n=number + 1, year=source.randint(1700, 1939))
        write_text_pdf(
            folder / f"paper-{number:06d}.pdf",
            [_paragraphs(vocabulary, source, words_per_page)],
            title=heading,
            language=vocabulary.language,
            headings=[heading],  # holds the number, so no two documents can be the same
        )


def _paragraphs(vocabulary: _Vocabulary, source: random.Random, words: int) -> list[str]:
    paragraphs: list[list[str]] = [[]]
    written = 0
    while written < words:
        if len(paragraphs[-1]) == _SENTENCES_PER_PARAGRAPH:
            paragraphs.append([])
        sentence = _sentence(vocabulary, source)
        paragraphs[-1].append(sentence)
        written += len(sentence.split())
    return [" ".join(sentences) for sentences in paragraphs]


def _sentence(vocabulary: _Vocabulary, source: random.Random) -> str:
    chosen = {field: source.choice(words) for field, words in vocabulary.words.items()}
    sentence = source.choice(vocabulary.templates).format(
        **chosen,
        n=source.randint(2, 999),
        m=source.randint(2, 99),
        sum=source.randint(10, 9_999),
        year=source.randint(1700, 1939),
    )
    return sentence[0].upper() + sentence[1:]
