"""A made-up archive of PDFs, good and bad, to try everything else on.

- ``archive``    the documents, and how the archive changes
- ``questions``  what the archive can be asked, with the right answers
- ``texts``      what stands in the documents
- ``text_pdf``   born-digital PDFs; ``layout`` and ``blocks`` set the type
- ``scan_pdf``   image-only PDFs that look like scans; ``picture`` paints a page without words
- ``bulk``       thousands of small documents for benchmarks

Everything is deterministic: the same call writes the same bytes. PDFium renders the scans, so two threads must not make
archives or scans at the same time.
"""

from ragflow.sample.archive import USER_PASSWORD, change_document, make_archive, remove_document
from ragflow.sample.bulk import make_text_archive
from ragflow.sample.records import DocumentKind, SampleArchive, SampleDocument, SampleQuestion
from ragflow.sample.scan_pdf import write_scan_pdf
from ragflow.sample.text_pdf import write_text_pdf

__all__ = [
    "USER_PASSWORD",
    "DocumentKind",
    "SampleArchive",
    "SampleDocument",
    "SampleQuestion",
    "change_document",
    "make_archive",
    "make_text_archive",
    "remove_document",
    "write_scan_pdf",
    "write_text_pdf",
]
