"""Where the weights of a search lie that were fitted to this archive."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import orjson

from ragflow.errors import IntegrityError
from ragflow.model.tuning import Tuning
from ragflow.store.atomic import write_bytes


@dataclass(frozen=True, slots=True)
class TuningStore:
    """One record at ``path``, or none."""

    path: Path

    def find(self) -> Tuning | None:
        """Return what was found last; None if nothing was ever tuned.

        Raises:
            IntegrityError: the file is damaged or was edited.
        """
        try:
            return Tuning.from_dict(orjson.loads(self.path.read_bytes()))
        except FileNotFoundError:
            return None
        except (KeyError, TypeError, ValueError) as error:
            raise IntegrityError(
                f"{self.path} is damaged: {error}.", remedy="Run `ragflow tune` again, or `ragflow tune --reset`."
            ) from error

    def put(self, tuning: Tuning) -> None:
        write_bytes(self.path, orjson.dumps(tuning.to_dict(), option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS))

    def remove(self) -> None:
        """Go back to the defaults."""
        self.path.unlink(missing_ok=True)
