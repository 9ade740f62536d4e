"""Frozen records, Arrow schemas and fingerprints. No I/O, no configuration, no third-party engines.

- ``fingerprints``  canonical JSON, SHA-256, Merkle roots
- ``batches``       manifests of document batches and the fold that gives the desired state
- ``reading``       what an OCR engine returns: words, pages, statuses, reasons
- ``tables``        the Arrow schema of every table, with the grain of a row
- ``points``        what stands in a collection; the pure ``diff(desired, observed)``
- ``ledger``        pages in = indexed + blank + quarantined
- ``verdicts``      what a check says
- ``releases``      the record of one release
"""
