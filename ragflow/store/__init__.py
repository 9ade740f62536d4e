"""Where things lie under ``RAGFLOW_HOME``, and how they are written so that a kill leaves the old or the new.

- ``home``       the folder layout
- ``atomic``     write-then-rename, with fsync
- ``blobs``      content-addressed document bytes
- ``manifests``  the chain of batch manifests
- ``tables``     Parquet tables per asset and batch, each set with a record of its hashes
- ``records``    append-only release records, and the record of each collection version
- ``rereads``    requests to read pages or documents again
- ``inventory``  what a scan saw last time, so that unchanged files are not hashed again
- ``locks``      one writer at a time
"""
