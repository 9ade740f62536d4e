"""Registre matricule of the school of Sainte-Eulalie, 1902: six pages in French, four pupils a page."""

from __future__ import annotations

from typing import NamedTuple

TITLE = "Registre matricule de l'école de Sainte-Eulalie, 1902"
PUPILS_PER_PAGE = 4
CLASSES = (
    "Cours préparatoire, première division",
    "Cours préparatoire, seconde division",
    "Cours élémentaire",
    "Cours moyen, première année",
    "Cours moyen, seconde année",
    "Cours supérieur et certificat d'études",
)


class Pupil(NamedTuple):
    """One entry of the register; ``girl`` chooses the endings of the French words."""

    name: str
    girl: bool
    born: str
    parent: str
    village: str
    absences: int
    remark: str


PUPILS = (
    Pupil(
        "Aubin Cadiou",
        False,
        "le 4 mars 1896",
        "marchand d'oignons",
        "au bourg",
        12,
        "Compte fort bien, mais seulement les oignons.",
    ),
    Pupil(
        "Rosalie Tanguy",
        True,
        "le 19 juin 1895",
        "lavandière",
        "rue Basse",
        3,
        "A récité sans faute la fable des deux pigeons.",
    ),
    Pupil(
        "Yvon Lenfant",
        False,
        "le 30 octobre 1895",
        "couvreur",
        "à la Ville-Orain",
        21,
        "Retiré trois fois du toit de l'école.",
    ),
    Pupil(
        "Clémence Dubosq",
        True,
        "le 2 janvier 1896",
        "agent voyer",
        "place de l'Église",
        0,
        "Possède un atlas et le prête volontiers.",
    ),
    Pupil(
        "Mathieu Escoffret", False, "le 11 avril 1895", "tonnelier", "au port", 9, "A fabriqué un seau qui ne fuit pas."
    ),
    Pupil(
        "Noémie Gaudin",
        True,
        "le 23 août 1895",
        "boucher",
        "rue de la Halle",
        5,
        "Écrit de la main gauche malgré les remontrances.",
    ),
    Pupil(
        "Firmin Jégado",
        False,
        "le 7 février 1895",
        "cultivateur",
        "aux Hautes-Terres",
        34,
        "Absent pendant toute la moisson, selon l'usage de la famille.",
    ),
    Pupil(
        "Apolline Bruneval",
        True,
        "le 15 mai 1895",
        "garde champêtre",
        "au four banal",
        2,
        "Connaît par leur nom toutes les chèvres de la commune.",
    ),
    Pupil(
        "Célestin Malherbe",
        False,
        "le 28 septembre 1894",
        "charpentier",
        "rue Basse",
        8,
        "Dessine des charpentes dans la marge de ses dictées.",
    ),
    Pupil(
        "Ernestine Lanoë",
        True,
        "le 9 décembre 1893",
        "vétérinaire",
        "route de Havrelin",
        1,
        "Veut devenir médecin et l'a écrit au ministre.",
    ),
    Pupil(
        "Gildas Kerdoncuff",
        False,
        "le 17 juillet 1893",
        "pilote, décédé",
        "au port",
        16,
        "Bénéficie de la cantine gratuite depuis la rentrée.",
    ),
    Pupil(
        "Léonie Talvat",
        True,
        "le 26 novembre 1893",
        "avocat",
        "place de l'Église",
        4,
        "Plaide sa cause avec éloquence lorsqu'elle bavarde.",
    ),
    Pupil(
        "Octave Rochefade",
        False,
        "le 1er mai 1892",
        "scieur de long",
        "au marais",
        27,
        "A perdu la moitié d'un doigt et gagné en prudence.",
    ),
    Pupil(
        "Honorine Camondeau",
        True,
        "le 12 mars 1892",
        "fondeur de cloches",
        "en pension au bourg",
        0,
        "Chante juste et donne le ton à toute la classe.",
    ),
    Pupil(
        "Prosper Flavigny",
        False,
        "le 20 avril 1892",
        "propriétaire",
        "au château neuf",
        6,
        "Premier prix d'histoire et dernier de gymnastique.",
    ),
    Pupil(
        "Zélie Morvan",
        True,
        "le 31 août 1892",
        "nièce du curé",
        "au presbytère",
        7,
        "Tient seule le registre de la bibliothèque scolaire, riche de cent quarante-trois volumes.",
    ),
    Pupil(
        "Barthélemy Ribot",
        False,
        "le 6 juin 1891",
        "instituteur",
        "à l'école",
        0,
        "Soigne les six ruches de la classe et n'a été piqué que deux fois.",
    ),
    Pupil(
        "Sabine Houdemare",
        True,
        "le 18 octobre 1891",
        "notaire",
        "rue de la Halle",
        10,
        "Sa composition sur le naufrage de la Belle-Aurore a été lue devant l'inspecteur.",
    ),
    Pupil(
        "Armel Cloarec",
        False,
        "le 3 janvier 1891",
        "retraité",
        "rue Basse",
        14,
        "Petit-fils de l'ancien garde, siffle comme un merle.",
    ),
    Pupil(
        "Victoire Audren",
        True,
        "le 22 février 1891",
        "mercière",
        "place du Marché",
        3,
        "Brode l'alphabet entier sans modèle.",
    ),
    Pupil(
        "Désiré Pasquereau",
        False,
        "le 14 juillet 1890",
        "aubergiste",
        "au Cheval-Blanc",
        19,
        "Parle anglais avec les marins et le parle mal, mais le parle.",
    ),
    Pupil(
        "Blanche Tréhoret",
        True,
        "le 5 novembre 1889",
        "médecin",
        "route du port",
        2,
        "Reçue première du canton au certificat d'études avec cent douze points.",
    ),
    Pupil(
        "Sylvain Guillemot",
        False,
        "le 29 mars 1890",
        "meunier",
        "au moulin de la Lerne",
        11,
        "Admis à l'école d'horlogerie de Brémeur, où il entrera en octobre.",
    ),
    Pupil(
        "Euphrasie Penvénan",
        True,
        "le 8 septembre 1889",
        "régisseur",
        "à la ferme-école",
        5,
        "A classé l'herbier de l'école : deux cent six plantes de l'île.",
    ),
)

_HEALTH = (
    "Vacciné{e}. Vue bonne.",
    "Vacciné{e}. Porte des lunettes.",
    "Vacciné{e} à l'entrée. Santé délicate en hiver.",
)
_WORK = (
    "L'écriture est ferme et l'orthographe progresse.",
    "La lecture est courante ; le calcul demande encore du travail.",
    "Les leçons sont sues, les cahiers sont propres.",
    "L'attention faiblit après midi, surtout les jours de marché.",
    "Bon esprit, application inégale.",
)


def text() -> str:
    """The pages of the register, in the notation of :mod:`ragflow.sample.blocks`."""
    return "\n---\n".join(_page(index) for index in range(len(CLASSES)))


def _page(index: int) -> str:
    first = index * PUPILS_PER_PAGE
    entries = [_entry(number, PUPILS[number - 1]) for number in range(first + 1, first + PUPILS_PER_PAGE + 1)]
    return f"# {CLASSES[index]}\n\n" + "\n".join(entries)


def _entry(number: int, pupil: Pupil) -> str:
    p, e = pupil, "e" if pupil.girl else ""
    days = "jamais absent" + e if not p.absences else f"absent{e} {p.absences} demi-journées"
    return f"""
## Matricule {200 + number} : {p.name}

Né{e} {p.born}, demeurant {p.village}. Profession du parent ou tuteur : {p.parent}. Entré{e} à l'école en
{1897 + number % 5}, {days} dans l'année. {_HEALTH[number % len(_HEALTH)].format(e=e)}

{_WORK[number % len(_WORK)]} {p.remark}
"""
