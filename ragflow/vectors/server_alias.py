"""The alias of a Qdrant server, moved only from where it is expected.

A server changes several aliases in one step, but not under a condition. One of its steps fails, though, if things are
not as expected: an alias that is not there cannot be renamed, and nothing that comes after it is done. So beside the
alias that is searched, ``<prefix>-live``, there is a second one whose *name* says where the first one points, since
when, and how often it was moved::

    ragflow-live-is-00000002-v000002-after-v000001-at-2026-01-02T03%3A04%3A05Z

Every change begins by renaming it. Of two processes that saw the same name, one finds it renamed already. While nothing
is live, it lies on the collection ``<prefix>-meta``, which is empty.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from urllib.parse import quote, unquote

from ragflow.errors import CheckFailedError, IntegrityError
from ragflow.vectors.folders import check_live
from ragflow.vectors.protocols import LIVE_ALIAS, AliasRecord
from ragflow.vectors.server_claims import note
from ragflow.vectors.server_connection import ConflictError, MissingError
from ragflow.vectors.server_requests import Change, Requests

NOTHING = "nothing"
_SIGN = re.compile(r"([0-9]{8,})-(v[0-9]{6}|nothing)-after-(v[0-9]{6}|nothing)-at-(.*)", re.ASCII)


@dataclass(frozen=True, slots=True)
class Sign:
    """What the name of the second alias says.

    Attributes:
        moves: how often the alias was moved, dropped or guarded.
        version, previous, moved_at: as in :class:`ragflow.vectors.protocols.AliasRecord`; None and "": nothing is live.
    """

    moves: int
    version: str | None
    previous: str | None
    moved_at: str

    def name(self) -> str:
        """Return the sign as a part of an alias's name."""
        at = quote(self.moved_at, safe="")
        return f"{self.moves:08d}-{self.version or NOTHING}-after-{self.previous or NOTHING}-at-{at}"

    @classmethod
    def parse(cls, name: str) -> Sign | None:
        """Return what a name says; None if it is none of these names."""
        found = _SIGN.fullmatch(name)
        if found is None:
            return None
        version, previous = (None if part == NOTHING else part for part in found.group(2, 3))
        return cls(int(found[1]), version, previous, unquote(found[4]))


class LiveAlias:
    """The alias ``live`` of one prefix on one server."""

    def __init__(self, requests: Requests) -> None:
        self._requests = requests
        self._alias = f"{requests.options.prefix}-{LIVE_ALIAS}"
        self._signs = f"{self._alias}-is-"
        self._meta = f"{requests.options.prefix}-meta"

    def read(self) -> AliasRecord | None:
        """Return where the alias points; None if nothing is live.

        Raises:
            IntegrityError: the alias was moved by somebody else than ragflow.
        """
        sign = self._sign()
        return _record(sign) if sign is not None else None

    def move(self, version: str, *, expected: str | None, moved_at: str, check: Callable[[str], object]) -> AliasRecord:
        """Move the alias; see :meth:`ragflow.vectors.protocols.VersionStore.move_alias`.

        Args:
            check: raises if ``version`` is not complete. It is called after the sign was read: a version that is being
                discarded changes the sign once it has stopped to be complete.
        """
        sign = self._standing_sign()
        check(version)
        check_live(sign.version, expected)
        if sign.version != version:
            moved = Sign(sign.moves + 1, version, sign.version, moved_at)
            self._change(sign, moved)
            sign = moved
        record = _record(sign)
        assert record is not None
        return record

    def drop(self, *, expected: str) -> None:
        """Make nothing live; see :meth:`ragflow.vectors.protocols.VersionStore.drop_alias`."""
        sign = self._standing_sign()
        check_live(sign.version, expected)
        self._change(sign, Sign(sign.moves + 1, None, None, ""))

    def guard(self) -> None:
        """Make every move fail that has read the sign already. Where the alias points does not change."""
        while True:
            sign = self._standing_sign()
            guarded = replace(sign, moves=sign.moves + 1)
            if self._try([Change("rename", self._signs + sign.name(), self._signs + guarded.name())], guarded):
                return

    def _change(self, before: Sign, after: Sign) -> None:
        old, new = self._signs + before.name(), self._signs + after.name()
        target = self._meta if after.version is None else self._requests.options.collection(after.version)
        changes = [
            Change("rename", old, new),  # first: it fails if somebody else was faster
            Change("delete", new),
            Change("create", new, target),
            Change("delete", self._alias),
        ]
        if after.version is not None:
            changes.append(Change("create", self._alias, target))
        if not self._try(changes, after):
            raise CheckFailedError(
                f"The alias {LIVE_ALIAS} was moved in the meantime.", remedy="Look at the releases and decide again."
            )

    def _try(self, changes: list[Change], after: Sign) -> bool:
        """Make the changes; return whether they were made."""
        try:
            self._requests.change_aliases(changes)
        except MissingError:
            # Made all the same if the first answer was lost and the request was made again.
            return self._signs + after.name() in self._requests.aliases()
        return True

    def _sign(self) -> Sign | None:
        """Return the sign that counts, the one of the most moves; None if nothing was ever live.

        Raises:
            IntegrityError: the alias does not point where the sign says.
        """
        aliases = self._requests.aliases()
        names = [name.removeprefix(self._signs) for name in aliases if name.startswith(self._signs)]
        signs = [sign for sign in map(Sign.parse, names) if sign is not None]
        newest = max((sign.moves for sign in signs), default=0)
        last = [sign for sign in signs if sign.moves == newest]
        said = {sign.version for sign in last} or {None}
        live = aliases.get(self._alias)
        if len(said) > 1 or live not in {v and self._requests.options.collection(v) for v in said}:
            raise IntegrityError(
                f"On the Qdrant server, the alias {self._alias} is at {live or 'no collection'}, and ragflow last "
                f"moved it to {' and '.join(sorted(version or NOTHING for version in said))}.",
                remedy="Somebody else moved it. Set it back by hand; the release records say where it belongs.",
            )
        return last[0] if last else None

    def _standing_sign(self) -> Sign:
        """Return the sign that counts, put up first if there is none."""
        sign = self._sign()
        if sign is None:
            with suppress(ConflictError):  # somebody else is at it, too
                self._requests.create_bare(self._meta, note("aliases", ""))
            first = Sign(0, None, None, "")
            self._requests.change_aliases([Change("create", self._signs + first.name(), self._meta)])
            sign = self._sign()
        assert sign is not None
        return sign


def _record(sign: Sign) -> AliasRecord | None:
    if sign.version is None:
        return None
    return AliasRecord(alias=LIVE_ALIAS, version=sign.version, previous=sign.previous, moved_at=sign.moved_at)
