"""Survey of the houses of Quay Street, 1928: seven pages in English, set in two columns, three houses a page."""

from __future__ import annotations

from typing import NamedTuple

TITLE = "Survey of the buildings of Quay Street, 1928"
HOUSES_PER_PAGE = 3


class House(NamedTuple):
    """One house of the street. ``rent`` in shillings a week, ``windows`` counted on the street front."""

    number: int
    name: str
    tenant: str
    trade: str
    year: int
    walls: str
    roof: str
    windows: int
    rent: int
    note: str


HOUSES = (
    House(
        1,
        "Custom House",
        "the Board of Customs",
        "two clerks and a tide waiter",
        1741,
        "dressed limestone",
        "lead",
        14,
        0,
        "A secret cupboard behind the panelling of the long room was opened this year and held forty clay pipes.",
    ),
    House(
        3,
        "The Blue Anchor",
        "Mrs Keziah Stoat",
        "a licensed victualler",
        1688,
        "rubble, lime-washed",
        "stone slates",
        7,
        22,
        "The cellar floods at spring tides. A tunnel, said to lead to the church, ends after twelve feet at a drain.",
    ),
    House(
        5,
        "no name",
        "Abel Nunn",
        "a ship's chandler",
        1803,
        "yellow brick",
        "Welsh slate",
        6,
        18,
        "The hoist in the gable is still in use and carries eight hundredweight.",
    ),
    House(
        7,
        "no name",
        "the Misses Farthing",
        "milliners",
        1803,
        "yellow brick",
        "Welsh slate",
        6,
        17,
        "The shop window is the largest sheet of plate glass in the town, nine feet by seven.",
    ),
    House(
        9,
        "Pilots' House",
        "the guild of pilots",
        "six pilots in turn",
        1826,
        "tarred weatherboard",
        "pantiles",
        5,
        10,
        "A lookout of glass stands on the ridge, with a telescope chained to the table.",
    ),
    House(
        11,
        "no name",
        "Ezra Golding",
        "a sailmaker",
        1779,
        "flint and brick",
        "pantiles",
        4,
        12,
        "The loft runs over three houses and measures seventy-four feet without a post.",
    ),
    House(
        13,
        "Sugar Loaf House",
        "Dr Ruth Benbow",
        "a physician",
        1764,
        "stucco, lined as stone",
        "copper",
        11,
        31,
        "The only bathroom of the street with running hot water is on the second floor.",
    ),
    House(
        15,
        "no name",
        "Marcus Levitt",
        "a watchmaker",
        1850,
        "red brick",
        "Welsh slate",
        5,
        14,
        "The regulator clock in the hall is set every day by the noon gun.",
    ),
    House(
        17,
        "no name",
        "a tenant not at home on three visits",
        "occupation unknown",
        1850,
        "red brick",
        "Welsh slate",
        5,
        14,
        "The neighbours hear a cello at night.",
    ),
    House(
        19,
        "Old Bank",
        "the Farmers' Bank",
        "a manager and five clerks",
        1811,
        "granite",
        "lead",
        9,
        60,
        "The strong room door weighs a ton and three quarters and was brought by sea from Bremerholm.",
    ),
    House(
        21,
        "no name",
        "Jethro Pounce",
        "a baker",
        1702,
        "timber frame with plaster",
        "pantiles",
        4,
        13,
        "The oven dates from the building of the house and has never, it is said, been wholly cold.",
    ),
    House(
        23,
        "no name",
        "Gwendolen Ashe",
        "a photographer",
        1872,
        "red brick",
        "glass and slate",
        6,
        16,
        "The studio on the roof faces north; the sitters climb sixty-eight steps.",
    ),
    House(
        25,
        "Seamen's Mission",
        "the mission society",
        "a chaplain",
        1895,
        "terracotta",
        "red tiles",
        12,
        5,
        "There are thirty beds at fourpence a night, a harmonium and a stuffed albatross.",
    ),
    House(
        27,
        "no name",
        "Lemuel Strake",
        "a rope maker",
        1733,
        "cob on a stone footing",
        "thatch",
        3,
        6,
        "This is the last thatched roof within the walls, and the insurance office has refused it.",
    ),
    House(
        29,
        "no name",
        "Pascoe and Son",
        "coopers",
        1740,
        "rubble",
        "stone slates",
        4,
        9,
        "The yard holds a mulberry tree planted by a French prisoner of war.",
    ),
    House(
        31,
        "Net Store",
        "the fishery company",
        "no resident",
        1867,
        "corrugated iron",
        "corrugated iron",
        0,
        8,
        "The walls lean outwards by seven inches and are tied with ship's cable.",
    ),
    House(
        33,
        "no name",
        "Tobias Wren",
        "a bookbinder",
        1790,
        "flint and brick",
        "pantiles",
        5,
        11,
        "The council's own registers are bound here, in calf, at nine shillings the volume.",
    ),
    House(
        35,
        "Lantern House",
        "the family Luscombe",
        "keepers of the pier light",
        1815,
        "granite",
        "stone slates",
        6,
        7,
        "A mirror on the landing allows the keeper to see the east pier light from his bed.",
    ),
    House(
        37,
        "no name",
        "Clement Rudge",
        "a dentist",
        1880,
        "white brick",
        "Welsh slate",
        7,
        19,
        "The drilling chair is worked from a treadle in the next room by his sister.",
    ),
    House(
        39,
        "Rope Walk Cottage",
        "Mother Selina Gage",
        "a herbalist, aged ninety-one",
        1655,
        "cob",
        "turf",
        2,
        3,
        "It is the oldest dwelling of the street, and the front door is four feet eleven inches high.",
    ),
    House(
        41,
        "Coal Office",
        "Brindley and Company",
        "coal merchants",
        1860,
        "blue brick",
        "Welsh slate",
        4,
        15,
        "The weighbridge in front was tested and gives seven pounds too much on the ton.",
    ),
)

_OPENINGS = (
    "The building was measured inside and out.",
    "Plans were made of each floor.",
    "The house was visited from cellar to attic.",
)
_DRAINS = (
    "The drains run to the new sewer and were sound under the smoke test.",
    "The drain still falls straight into the harbour and must be turned.",
    "There is no drain but an open gutter, which the owner has promised to cover.",
    "The closet stands in the yard and is shared with the neighbours.",
)
_STATES = (
    "good",
    "fair",
    "fair, though the gutters leak",
    "poor on the seaward side",
    "good since the repairs of 1926",
)


def text() -> str:
    """The pages of the survey, in the notation of :mod:`ragflow.sample.blocks`."""
    groups = [HOUSES[start : start + HOUSES_PER_PAGE] for start in range(0, len(HOUSES), HOUSES_PER_PAGE)]
    return "\n---\n".join("\n".join(_entry(house) for house in group) for group in groups)


def _entry(house: House) -> str:
    h, step = house, house.number // 2
    named = "" if h.name == "no name" else f", called {h.name},"
    rent = f"{h.rent} shillings a week" if h.rent else "nothing, the building being the property of the Crown"
    front = f"{h.windows} windows" if h.windows else "no window at all"
    return f"""
# No. {h.number} Quay Street{"" if h.name == "no name" else " - " + h.name}

No. {h.number} Quay Street{named} is occupied by {h.tenant}: {h.trade}. {_OPENINGS[step % len(_OPENINGS)]} It was
built in {h.year} and stands {1 + (h.number * 7) % 4} floors high upon a front of {15 + (h.number * 5) % 17} feet.

The walls are of {h.walls}, the roof is of {h.roof}, and {front} look upon the quay. The general state is
{_STATES[step % len(_STATES)]}. {_DRAINS[(step * 3) % len(_DRAINS)]}

{h.note} The rent is {rent}.
"""
