"""The transformer for a handful of short texts, such as the queries that a service embeds at one time.

All texts stand in one row, one after the other, and attention is held to each text by a mask: no padding is computed,
which for queries of ever other lengths is a third of the work. The transformer is recorded as one graph, which runs as
a whole outside of Python: its hundreds of small steps cost a quarter of the time of a small batch, and between steps
they would have to wait for the other threads of a busy process.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor

log = logging.getLogger(__name__)

MOST_TOKENS = 512
"""Of all texts of a row together; attention over more costs more than padding does."""
STEP = 16
"""Rows are filled up to a multiple of this: for each other length the CPU library compiles and keeps kernels of its
own, and a process that met every length grew by hundreds of MB."""
LEAST_COSINE = 0.9995
"""How far the graph may be from the transformer that it was recorded from: rounding in bfloat16 stays well above."""
_PROBES = (5, 17, 9)
"""Tokens of the texts that the graph is recorded and tried with."""


class ShortTexts:
    """A recorded transformer. May be shared by threads; holds no weights of its own."""

    def __init__(self, graph: Any) -> None:
        self._graph = graph

    def __call__(self, ids: Sequence[Sequence[int]]) -> tuple[Tensor, Tensor]:
        """Return the vectors of all tokens, as a transformer gives them for a padded batch.

        Args:
            ids: tokens of each text, special ones included; :data:`MOST_TOKENS` in all.

        Returns:
            Vectors, shape (texts, longest, dimension), float32, zero where a text has ended; and the attention mask,
            shape (texts, longest).
        """
        import torch
        from torch.nn.utils.rnn import pad_sequence

        lengths = [len(text) for text in ids]
        rows = torch.split(self._graph(*_in_one_row(ids))[0][: sum(lengths)], lengths)
        mask = pad_sequence([torch.ones(length, dtype=torch.long) for length in lengths], batch_first=True)
        return pad_sequence(list(rows), batch_first=True), mask


def record_short_texts(transformer: Any) -> ShortTexts | None:
    """Record a transformer; None if it is not one whose texts can stand in one row, or if recording fails.

    Args:
        transformer: of the library of that name, on the CPU, in inference mode.
    """
    import torch
    from transformers import BertModel

    if type(transformer) is not BertModel or transformer.config.is_decoder:
        return None
    vocabulary = transformer.config.vocab_size
    probes = [[7 * token % vocabulary for token in range(length)] for length in _PROBES]

    class Row(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.transformer = transformer

        def forward(self, ids: Tensor, positions: Tensor, mask: Tensor) -> Tensor:
            found = self.transformer(input_ids=ids, position_ids=positions, attention_mask=mask)
            vectors: Tensor = found.last_hidden_state
            return vectors.float()

    try:
        with warnings.catch_warnings():
            # Of what could differ for other texts (nothing does: it is tried below), and that torch prefers compilers.
            warnings.simplefilter("ignore")
            row = Row().eval()
            graph = torch.jit.trace(row, _in_one_row(probes), check_trace=False)  # type: ignore[no-untyped-call]
        short = ShortTexts(graph)
        for some in (probes, probes[1:], [*probes, probes[0][:4]]):
            vectors, mask = short(some)
            for row, kept, alone in zip(vectors, mask.bool(), some, strict=True):
                plain = transformer(input_ids=torch.tensor([alone])).last_hidden_state[0].float()
                cosine = torch.nn.functional.cosine_similarity(row[kept].mean(0), plain.mean(0), dim=0)
                if not float(cosine) >= LEAST_COSINE:
                    raise ValueError(f"a recorded vector has a cosine of {float(cosine):.6f} to the plain one")
    except (RuntimeError, ValueError, TypeError, AttributeError, KeyError, IndexError) as error:
        # Another version of a library may not be recordable: the plain way gives the same vectors, more slowly.
        log.warning("the transformer cannot be recorded for short texts", extra={"reason": str(error)[:500]})
        return None
    return short


def _in_one_row(ids: Sequence[Sequence[int]]) -> tuple[Tensor, Tensor, Tensor]:
    """Return tokens and positions, each of shape (1, tokens), and which token may look at which.

    What fills the row up stands behind the texts as one more, at which none of them looks.
    """
    import torch

    lacking = -sum(len(text) for text in ids) % STEP
    row = [*ids, [0] * lacking] if lacking else ids
    tokens = torch.tensor([[token for text in row for token in text]])
    positions = torch.tensor([[position for text in row for position in range(len(text))]])
    lengths = torch.tensor([len(text) for text in row])
    text_of = torch.repeat_interleave(torch.arange(len(row)), lengths)
    return tokens, positions, (text_of[:, None] == text_of[None, :])[None, None]
