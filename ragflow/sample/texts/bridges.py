"""Inspection of the bridges of the commune, 1934: eight pages in English, one a bridge."""

from __future__ import annotations

from typing import NamedTuple

TITLE = "Inspection of bridges, 1934"


class Bridge(NamedTuple):
    """What the inspector wrote down about one bridge. Lengths in feet, loads in tons, money in pounds."""

    number: int
    name: str
    place: str
    kind: str
    spans: str
    length: int
    built: str
    visited: str
    finding: str
    detail: str
    load: int
    work: str
    cost: int
    remark: str


BRIDGES = (
    Bridge(
        1,
        "Three Alders Bridge",
        "the post road over the river Lerne",
        "a stone bridge",
        "three round arches",
        94,
        "in 1779 by the brothers Hallam, masons",
        "3 April",
        "the upstream cutwater of the middle pier has lost eleven of its facing stones",
        "The hollow behind them reaches an arm's length into the pier, and an otter lives there.",
        12,
        "rebuilding the cutwater in granite set in cement",
        185,
        "The milestone on the parapet gives the distance to Havrelin as four miles, which is half a mile too little.",
    ),
    Bridge(
        2,
        "Mill Lane Bridge",
        "the tail race of the town mill",
        "a brick bridge",
        "one flat arch",
        22,
        "in 1846 when the mill was enlarged",
        "3 April",
        "the crown of the arch has sunk by two and a quarter inches",
        "The bricks are soft and crumble under the hammer; grass grows from the joints.",
        4,
        "a saddle of reinforced concrete over the old arch",
        240,
        "Steam rollers must be forbidden to cross until the work is done.",
    ),
    Bridge(
        3,
        "Bishop's Footbridge",
        "the ford below the palace garden",
        "a timber bridge",
        "five short spans on oak piles",
        61,
        "in 1902 to replace one carried away by ice",
        "5 April",
        "two of the oak piles are eaten by worm at the water line",
        "A penknife went in to the handle. The handrail is new "
        "and handsome, and is the only part that most people look at.",
        1,
        "driving two piles of greenheart",
        58,
        "Anglers have cut notches into the rail to rest their rods upon.",
    ),
    Bridge(
        4,
        "Gallows Down Viaduct",
        "the light railway and the sheep walk",
        "a steel viaduct",
        "seven lattice girders",
        410,
        "in 1911 by the Penhallow Ironworks",
        "9 April",
        "one hundred and thirty rivets of the fourth girder are loose",
        "They ring false under the hammer and weep rust at every passing train.",
        60,
        "drilling out and renewing the rivets during the Sunday closures",
        790,
        "The painters last covered the whole viaduct in 1925, in a shade called battleship grey.",
    ),
    Bridge(
        5,
        "Swan Dock Swing Bridge",
        "the entrance to the inner basin",
        "a swing bridge of wrought iron",
        "one turning span",
        78,
        "in 1883 by a firm since bankrupt",
        "10 April",
        "the turning gear needs nineteen minutes instead of six",
        "The pivot has run dry because the oil pipe was crushed by an anchor, nobody knows whose.",
        9,
        "a new oil pipe and a ball race of bronze",
        315,
        "The bridge keeper, Obadiah Finnis, opens it for his own boat without entering it in the book.",
    ),
    Bridge(
        6,
        "Tanner's Rise Steps",
        "the ravine between the tannery and the chapel",
        "a cast-iron footbridge",
        "one ribbed arch",
        37,
        "in 1859 from a pattern shown at the great exhibition",
        "12 April",
        "a crack runs through the third rib from the north",
        "It was bound with wire by some well-meaning person in the last century.",
        2,
        "bolting plates of steel to both faces of the rib",
        44,
        "The iron dolphins of the balustrade number fifteen; there were sixteen last year.",
    ),
    Bridge(
        7,
        "Corbinière Causeway",
        "the salt marsh on the road to La Corbinière",
        "a stone causeway",
        "twenty-two slabs on rough piers",
        168,
        "by the monks, at a time that no document records",
        "17 April",
        "slab number nine tilts when a cart passes",
        "The pier beneath it stands on peat, and the peat is washing out.",
        3,
        "a mattress of brushwood and rubble around the pier",
        72,
        "Local people will not step upon the ninth slab on All Souls' Night.",
    ),
    Bridge(
        8,
        "Long Strand Pier Bridge",
        "the gap between the shore and the lifeboat slip",
        "a concrete bridge",
        "four beams side by side",
        52,
        "in 1927 with gravel from the beach",
        "18 April",
        "the salt in the gravel has rusted the bars and burst the concrete from the two outer beams",
        "Lumps the size of a loaf lie on the sand below.",
        5,
        "casting new outer beams with washed river gravel",
        365,
        "The lifeboat crew ask that the work be done in June, the month of fewest launches.",
    ),
)

_CARE = (
    "The roadway was swept before the visit and the joints were opened with a bar in four places.",
    "Levels were taken along both kerbs and compared with those in the book of 1924.",
    "Every part that could be reached from a ladder was struck with a two-pound hammer.",
    "The water was low, and the foundations could be felt with a rod from a flat-bottomed boat.",
)
_TRAFFIC = (
    "A boy with a slate counted the traffic for one day",
    "On the Thursday of the visit the traffic was counted from six to six",
    "The constable kindly counted all that passed on a market day",
)


def text() -> str:
    """The pages of the inspection, in the notation of :mod:`ragflow.sample.blocks`."""
    return "\n---\n".join(_page(bridge) for bridge in BRIDGES)


def _page(bridge: Bridge) -> str:
    b, care, count = bridge, _CARE[bridge.number % len(_CARE)], _TRAFFIC[bridge.number % len(_TRAFFIC)]
    carts, motors, people = 17 + 13 * b.number, 5 + 7 * (b.number % 5), 60 + 41 * b.number
    return f"""
# Bridge no. {b.number}: {b.name}

{b.name} crosses {b.place}. It is {b.kind} of {b.spans}, {b.length} feet long, and was built {b.built}. It was
inspected on {b.visited} 1934 by Mr Crispin Vale, assistant surveyor, with one labourer.

## Condition

The principal defect of {b.name} is that {b.finding}. {b.detail}

{care} Apart from what is said above the work is sound for its age, and no movement could be measured under a loaded
wagon.

## Traffic and safe load

{count}: {carts} carts and wagons, {motors} motor vehicles and {people} persons on foot. The safe load should be
posted as {b.load} {"ton" if b.load == 1 else "tons"} on a board at either end.

## Recommendation

The assistant surveyor recommends {b.work}, at an estimated cost of {b.cost} pounds. {b.remark}
"""
