"""Pack the blocks of pages into chunks.

A page is cut in three steps: blocks (a heading together with the block after it) that are too long are cut; the
pieces are packed greedily up to the target; each chunk is then tokenised alone, as the embedding model will see it,
and cut again if it turns out too long. The last step makes the bound hold for every tokenizer, also for one that
counts differently in context.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ragflow.chunking.cutting import Limits, Ruler, Span, blocks_of, cut_evenly
from ragflow.chunking.records import Box, Chunk, ChunkOptions, PageText, TokenCounter
from ragflow.errors import UsageError

PAGES_AT_ONCE = 128
"""Pages tokenised in one call; bounds what is held in memory."""

SHRINK = 0.8
"""Each time a chunk is cut again, its pieces may have this share of the tokens they could have before."""


@dataclass(frozen=True, slots=True)
class _Section:
    """A block, or headings with the block after them."""

    span: Span
    keep: int
    heading: bool


def chunk_pages(pages: Sequence[PageText], counter: TokenCounter, options: ChunkOptions) -> list[list[Chunk]]:
    """Cut pages into chunks that the embedding model reads whole.

    The chunks of a page do not overlap, ascend, and hold every character that is not white space. A heading starts a
    chunk and stays with what follows it, unless the text before it is shorter than ``min_tokens``.

    Args:
        pages: any pages, of any documents; each is cut on its own.
        counter: the embedding model's tokenizer.
        options: lengths.

    Returns:
        The chunks of each page, in the order of ``pages``; an empty list for a page without text.

    Raises:
        UsageError: ``options.max_tokens`` is more than the model reads, or less than one character costs.
    """
    if options.max_tokens > counter.max_tokens:
        raise UsageError(
            f"Chunks of up to {options.max_tokens} tokens do not fit the embedding model, which reads "
            f"{counter.max_tokens}.",
            remedy=f"Set max_tokens to {counter.max_tokens} or less.",
        )
    if options.target_tokens <= counter.special_tokens:
        raise UsageError(
            f"A target of {options.target_tokens} tokens leaves no room beside {counter.special_tokens} special ones.",
            remedy="Set a larger target_tokens.",
        )
    chunks: list[list[Chunk]] = []
    for first in range(0, len(pages), PAGES_AT_ONCE):
        chunks.extend(_chunk_some(pages[first : first + PAGES_AT_ONCE], counter, options))
    return chunks


def _chunk_some(pages: Sequence[PageText], counter: TokenCounter, options: ChunkOptions) -> list[list[Chunk]]:
    texts = [page.text for page in pages]
    limits = Limits(
        goal=options.target_tokens - counter.special_tokens,
        hard=options.max_tokens - counter.special_tokens,
        characters=options.max_characters,
    )
    planned: list[tuple[int, Span]] = []
    for number, (page, spans) in enumerate(zip(pages, counter.spans(texts), strict=True)):
        ruler = Ruler([end for _, end in spans])
        planned.extend((number, span) for span in _pack(page, ruler, limits, options.min_tokens))
    counted = _fit(texts, planned, counter, options, limits)
    chunks: list[list[Chunk]] = [[] for _ in pages]
    starts = [[word.char_start for word in page.words] for page in pages]
    for number, span, tokens in counted:
        chunks[number].append(_chunk(pages[number], starts[number], span, tokens))
    return chunks


def _sections(page: PageText) -> list[_Section]:
    """Return the blocks of a page, headings joined to the block after them."""
    blocks = blocks_of(page.text)
    if page.words:
        wanted = set(page.headings)
        heads = sorted({word.char_start for word in page.words if word.block in wanted})
        flags = [bisect_left(heads, block.start) < bisect_left(heads, block.end) for block in blocks]
    else:
        flags = [number in page.headings for number in range(len(blocks))]
    sections: list[_Section] = []
    head: Span | None = None
    for block, is_heading in zip(blocks, flags, strict=True):
        if block.start >= block.end:
            continue
        if is_heading:
            head = Span(head.start if head else block.start, block.end)
        elif head is not None:
            sections.append(_Section(Span(head.start, block.end), keep=block.start, heading=True))
            head = None
        else:
            sections.append(_Section(block, keep=0, heading=False))
    if head is not None:
        sections.append(_Section(head, keep=0, heading=True))
    return sections


def _pack(page: PageText, ruler: Ruler, limits: Limits, min_tokens: int) -> list[Span]:
    """Return the spans of a page's chunks by the ruler's measure."""
    packed: list[Span] = []
    current: Span | None = None

    def fits(start: int, end: int, tokens: int) -> bool:
        return end - start <= limits.characters and ruler.tokens(start, end) <= tokens

    def nearer(span: Span, piece: Span) -> bool:
        """Whether the two together come nearer to the target than the first alone."""
        joined = ruler.tokens(span.start, piece.end)
        return fits(span.start, piece.end, limits.hard) and joined - limits.goal < limits.goal - ruler.tokens(*span)

    def close(span: Span) -> None:
        """Put a finished chunk away; one that is too short joins the chunk before it if both fit."""
        if packed and ruler.tokens(*span) < min_tokens and fits(packed[-1].start, span.end, limits.hard):
            packed[-1] = Span(packed[-1].start, span.end)
        else:
            packed.append(span)

    for section in _sections(page):
        starts_chunk = section.heading
        for piece in cut_evenly(page.text, section.span, ruler, limits, section.keep):
            if current is None:
                current = piece
            elif ruler.tokens(*current) < min_tokens:
                if fits(current.start, piece.end, limits.hard):
                    current = Span(current.start, piece.end)
                else:
                    close(current)
                    current = piece
            elif not starts_chunk and nearer(current, piece):
                current = Span(current.start, piece.end)
            else:
                close(current)
                current = piece
            starts_chunk = False
    if current is not None:
        close(current)
    return packed


def _fit(
    texts: Sequence[str],
    planned: Iterable[tuple[int, Span]],
    counter: TokenCounter,
    options: ChunkOptions,
    limits: Limits,
) -> list[tuple[int, Span, int]]:
    """Tokenise each planned chunk alone and cut those that are too long, until none is; in page order."""
    settled: list[tuple[int, Span, int]] = []
    todo = list(planned)
    hard = limits.hard
    while todo:
        counts = counter.count([texts[number][span.start : span.end] for number, span in todo])
        hard = max(1, int(hard * SHRINK))
        over: list[tuple[int, Span]] = []
        for (number, span), tokens in zip(todo, counts, strict=True):
            if tokens <= options.max_tokens:
                settled.append((number, span, tokens))
            else:
                over.append((number, span))
        todo = []
        shrunk = Limits(goal=min(limits.goal, hard), hard=hard, characters=limits.characters)
        alone = counter.spans([texts[number][span.start : span.end] for number, span in over]) if over else []
        for (number, span), spans in zip(over, alone, strict=True):
            ruler = Ruler([span.start + end for _, end in spans])
            todo.extend((number, piece) for piece in _cut_again(texts[number], span, ruler, shrunk, options))
    settled.sort(key=lambda entry: (entry[0], entry[1].start))
    return settled


def _cut_again(text: str, span: Span, ruler: Ruler, limits: Limits, options: ChunkOptions) -> list[Span]:
    """Cut a chunk that proved too long into two or more pieces."""
    pieces = cut_evenly(text, span, ruler, limits)
    if len(pieces) > 1:
        return pieces
    if span.end - span.start == 1:
        raise UsageError(
            f"The single character {text[span.start : span.end]!r} costs more than {options.max_tokens} tokens.",
            remedy="Set a larger max_tokens.",
        )
    halves = Limits(goal=1, hard=0, characters=-(-(span.end - span.start) // 2))
    return cut_evenly(text, span, Ruler([]), halves)


def _chunk(page: PageText, starts: Sequence[int], span: Span, tokens: int) -> Chunk:
    """Make the record of one chunk: its text, the boxes of its lines, its confidence.

    Args:
        starts: ``char_start`` of the page's words, ascending.
    """
    first, last = bisect_right(starts, span.start), bisect_left(starts, span.end)
    if first > 0 and page.words[first - 1].char_end > span.start:
        first -= 1
    boxes: list[Box] = []
    weight, total, line = 0, 0.0, None
    for word in page.words[first:last]:
        if line == word.line:
            left, top, right, bottom = boxes[-1]
            boxes[-1] = min(left, word.left), min(top, word.top), max(right, word.right), max(bottom, word.bottom)
        else:
            boxes.append((word.left, word.top, word.right, word.bottom))
            line = word.line
        weight += len(word.text)
        total += word.confidence * len(word.text)
    return Chunk(
        page_index=page.page_index,
        char_start=span.start,
        char_end=span.end,
        text=page.text[span.start : span.end],
        token_count=tokens,
        line_boxes=tuple(boxes),
        confidence=min(1.0, max(0.0, total / weight)) if weight else 1.0,
    )
