"""A cross-encoder that reads query and text together, and puts the first hits in a better order.

No weights come with the project: name the folder of a model that sentence-transformers can load.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ragflow.errors import BadInputError, UsageError

if TYPE_CHECKING:
    from sentence_transformers import CrossEncoder


class Reranker:
    """Scores texts against a query. May be shared by threads; the model is loaded on first use.

    Args:
        folder: of a cross-encoder with one output, as sentence-transformers saves it.
        depth: hits that it is asked about.
        batch: pairs that it reads at once.

    Raises:
        UsageError: a depth or batch below 1.
    """

    def __init__(self, folder: Path, depth: int = 30, batch: int = 16) -> None:
        if depth < 1 or batch < 1:
            raise UsageError(f"A reranker with depth {depth} and batch {batch} is none.", remedy="Both start at 1.")
        self.folder = folder
        self.depth = depth
        self._batch = batch
        self._lock = threading.Lock()
        self._model: CrossEncoder | None = None

    def score(self, query: str, texts: Sequence[str]) -> list[float]:
        """Return how well each text answers the query; higher is better, the scale is the model's own.

        Raises:
            BadInputError: the model cannot be loaded, or has another shape.
        """
        if not texts:
            return []
        model = self._load()
        scores = model.predict([(query, text) for text in texts], batch_size=self._batch, show_progress_bar=False)
        return [float(score) for score in scores]

    def _load(self) -> CrossEncoder:
        with self._lock:
            if self._model is None:
                self._model = _load_model(self.folder)
            return self._model


def _load_model(folder: Path) -> CrossEncoder:
    from sentence_transformers import CrossEncoder

    remedy = "Name the folder of a complete cross-encoder in search.reranker, or leave it empty."
    try:
        model: CrossEncoder = CrossEncoder(str(folder), local_files_only=True)
    except (OSError, ValueError, KeyError, RuntimeError, ImportError) as error:
        raise BadInputError(f"The reranker in {folder} cannot be loaded: {error}", remedy=remedy) from error
    if model.num_labels != 1:
        raise BadInputError(f"The reranker in {folder} has {model.num_labels} outputs, not one.", remedy=remedy)
    return model
