"""The archive that faults are put into: what its folder holds at four moments, and who plays which part.

Nothing here knows any pipeline: the documents are PDFs in a folder, and a document is called by its file name.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ragflow.sample import write_scan_pdf, write_text_pdf

Row = dict[str, Any]
Pages = Sequence[Sequence[str]]

QUARRY = (
    "The granite quarry above the river was closed after the spring flood carried away its only crane.",
    "Forty masons who had cut kerbstones there for the capital moved to the slate works in the next valley.",
)
ORCHARD = (
    "Pear orchards cover the southern slope, and the cider press works day and night through October.",
    "Wasps are a nuisance to the pickers, who hang jars of sugared water in the lower branches.",
)
LAVOIR = (
    "Le conseil décide de réparer la toiture du lavoir communal avant l'hiver et vote quarante francs.",
    "Le garde champêtre surveillera le chantier et rendra compte des dépenses à la prochaine séance.",
)
SCHOOL = ("L'institutrice demande un poêle neuf pour l'école, car les enfants ont froid dès le mois de janvier.",)
SCHOOL_LATER = (
    "Le poêle de l'école est arrivé par le chemin de fer et chauffe maintenant les deux salles de classe.",
    "Les parents apporteront chaque lundi une bûche par enfant jusqu'à la fin du mois de mars.",
)
LETTER = (
    "Dear uncle, the vineyard has suffered badly from hail and half of the grapes are lost this year.",
    "We shall sell the old mare at the autumn fair and keep only the two young oxen for ploughing.",
    "Please send the copper kettle by the carrier, for mother wishes to boil her plum preserve in it.",
)
FERRY = ("The ferry across the lake was sold for nine hundred guilders to a company of eel fishers.",)
FERRY_FARES = ("A cart paid four pence for the crossing, a herd of sheep one penny for every five heads.",)
HARBOUR = ("The harbour master counted ninety barges laden with peat and only three with Norwegian timber.",)
HARBOUR_LIGHT = ("A lantern of whale oil burned at the end of the eastern mole from dusk until four o'clock.",)
MILL = ("The windmill on the northern ridge grinds barley and rye for three villages and the garrison.",)
MILL_SAILS = ("Its sails were torn by the December gale, and canvas had to be bought in the port on credit.",)
PHARE = ("Le gardien du phare note chaque soir la direction du vent et le nombre de voiles à l'horizon.",)
PHARE_OIL = ("La provision d'huile de colza suffit pour soixante nuits si la mèche est taillée avec soin.",)
SURVEY = (
    "The surveyor measured the common meadow with a chain of sixty-six feet and found it short by two acres.",
    "Boundary stones along the brook had been moved, and the oldest shepherd was asked where they once stood.",
)
SURVEY_LONG = (
    "The first parcel lies between the mill race and the churchyard wall, is planted with hops on poles of chestnut, "
    "and pays a rent of eleven shillings at Michaelmas to the almshouse of the weavers.",
    "The second parcel is a water meadow that floods in February; its hay is coarse but plentiful, and the tenants "
    "share the cost of cleaning the sluice in proportion to the loads that they carry home.",
    "The third parcel was a brickfield until the clay gave out; the kilns are ruined, the pits have become ponds "
    "with carp in them, and boys from the village charge strangers a farthing to fish there.",
    "The fourth parcel belongs to nobody who can be found; nettles grow in its furrows, two families cut furze on it "
    "for their ovens, and the bailiff proposes to let it by auction on the first of May.",
    "The fifth parcel is a strip of beech wood along the ridge, where charcoal burners have a licence for nine years, "
    "provided that they leave every tenth tree standing and mend the cart track each spring.",
    "The sixth parcel is the glebe, which the rector farms himself with more zeal than skill; his turnips failed "
    "twice, and he has since turned to bees, whose honey fetches a good price at the assizes.",
    "The seventh parcel holds the gravel pit from which the turnpike trust takes its material without payment, an old "
    "custom that the commoners dispute, and about which a petition lies before the justices.",
)
DEED = (
    "This deed conveys the watermill with its wheel, two pairs of stones and the eel trap to Agnes Thorne.",
    "She shall repair the weir every summer and grind the corn of the hospital without taking any toll.",
    "Witnessed by the parish clerk and by two drovers who happened to rest their cattle on the green.",
)

TEXTS: Mapping[str, tuple[str, str, Pages]] = {
    "quarry.pdf": ("The granite quarry", "en", (QUARRY, (), ORCHARD)),
    "minutes.pdf": ("Séances du conseil", "fr", (LAVOIR, SCHOOL)),
    "ferry.pdf": ("Crossings of the lake", "en", (FERRY, FERRY_FARES)),
    "harbour.pdf": ("The harbour book", "en", (HARBOUR, HARBOUR_LIGHT)),
    "mill.pdf": ("The mill on the ridge", "en", (MILL, MILL_SAILS)),
    "phare.pdf": ("Journal du phare", "fr", (PHARE, PHARE_OIL)),
    "survey.pdf": ("Survey of the commons", "en", (SURVEY, SURVEY_LONG, ())),
}
"""File name → title, language and pages of each document with a text layer."""
SCANS: Mapping[str, Pages] = {"letter.pdf": (LETTER,), "deed.pdf": (DEED,)}
CHANGED: Mapping[str, tuple[str, str, Pages]] = {"minutes.pdf": ("Séances du conseil", "fr", (LAVOIR, SCHOOL_LATER))}

STATES: tuple[tuple[str, ...], ...] = (
    ("quarry.pdf", "minutes.pdf", "letter.pdf"),
    ("quarry.pdf", "minutes.pdf", "letter.pdf", "ferry.pdf", "harbour.pdf"),
    ("quarry.pdf", "minutes.pdf", "letter.pdf", "ferry.pdf", "harbour.pdf", "mill.pdf", "phare.pdf"),
    ("quarry.pdf", "minutes.pdf", "letter.pdf", "harbour.pdf", "mill.pdf", "phare.pdf", "survey.pdf", "deed.pdf"),
)
"""What the folder holds at each moment; in the last one, minutes.pdf has changed and ferry.pdf is gone."""

QUESTIONS: tuple[tuple[str, str, int], ...] = (
    ("why the masons had to leave the granite pit", "quarry.pdf", 1),
    ("growing pears and making cider in autumn", "quarry.pdf", 3),
    ("argent voté pour refaire le toit du lavoir", "minutes.pdf", 1),
    ("grapes destroyed by hail in the vineyard", "letter.pdf", 1),
    ("barges laden with fuel and wood, counted by the harbour master", "harbour.pdf", 1),
    ("gale damage to the sails of the mill", "mill.pdf", 2),
    ("observations quotidiennes du vent par le gardien", "phare.pdf", 1),
)
"""What a person might ask, in other words than the documents use, and where the answer stands."""

STANDING = ("granite quarry closed after the spring flood", "quarry.pdf")
"""A question whose answer is in the archive at every moment."""


@dataclass(frozen=True, slots=True)
class Scene:
    """Who plays which part when a fault is put in, and what it may look at.

    Attributes:
        new: a document with a text layer that is new; its page 1 has text, and so has ``second``.
        second: number of another page of ``new`` with text.
        scan: a new document of one scanned page.
        other: another document, which may have been there before.
        changed, removed: documents that the new batch changes and removes; None at the first release.
        earlier: rows of the same level from what is live.
        texts: (document, page) → text of every page that is there now.
    """

    new: str
    second: int
    scan: str
    other: str
    changed: str | None = None
    removed: str | None = None
    earlier: Sequence[Row] = ()
    texts: Mapping[tuple[str, int], str] = field(default_factory=dict)


FIRST = Scene(new="quarry.pdf", second=3, scan="letter.pdf", other="minutes.pdf")
GROWTH = Scene(
    new="survey.pdf", second=2, scan="deed.pdf", other="quarry.pdf", changed="minutes.pdf", removed="ferry.pdf"
)


def write_states(root: Path) -> list[Path]:
    """Write one folder per moment, each holding all documents of that moment; return them in order.

    A document that does not change has the same bytes and the same modification time everywhere.
    """
    past = time.time_ns() - int(86_400e9)
    folders = []
    for number, names in enumerate(STATES):
        folder = root / f"{number + 1}"
        folder.mkdir(parents=True)
        for name in names:
            _write(folder / name, last=number == len(STATES) - 1)
            born = next(index for index, state in enumerate(STATES) if name in state)
            moved = number if name in CHANGED and number == len(STATES) - 1 else born
            stamp = past + moved * 10**9
            os.utime(folder / name, ns=(stamp, stamp))
        folders.append(folder)
    return folders


def _write(path: Path, *, last: bool) -> None:
    if path.name in SCANS:
        write_scan_pdf(path, SCANS[path.name], dpi=150, skew_degrees=0.0, noise=0.0)
        return
    title, language, pages = CHANGED[path.name] if last and path.name in CHANGED else TEXTS[path.name]
    write_text_pdf(path, pages, title=title, language=language)


def write_questions(path: Path, prefix: str = "") -> None:
    """Write :data:`QUESTIONS` as JSON lines; ``prefix`` stands before each file name."""
    lines = [
        json.dumps({"_id": f"q{number}", "text": text, "document": prefix + document, "page": page})
        for number, (text, document, page) in enumerate(QUESTIONS, start=1)
    ]
    path.write_text("\n".join(lines) + "\n")
