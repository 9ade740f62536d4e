"""Looking into written PDFs with PDFium."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pypdfium2


def page_count(path: Path) -> int:
    with closing(pypdfium2.PdfDocument(path)) as document:
        return len(document)


def page_texts(path: Path) -> list[str]:
    """The text layer of each page, words parted by single spaces, apostrophes as typed."""
    with closing(pypdfium2.PdfDocument(path)) as document:
        texts = [document[index].get_textpage().get_text_range() for index in range(len(document))]
    return [" ".join(text.replace("\N{RIGHT SINGLE QUOTATION MARK}", "'").split()) for text in texts]


def page_pixels(path: Path, page_index: int, dpi: int = 72) -> npt.NDArray[np.uint8]:
    """Grey pixels of a page as displayed."""
    with closing(pypdfium2.PdfDocument(path)) as document:
        bitmap = document[page_index].render(scale=dpi / 72, grayscale=True)
        return np.asarray(bitmap.to_pil().convert("L")).copy()
