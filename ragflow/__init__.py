"""ragflow: an archive of PDFs and images goes in, a proven vector collection comes out.

The map, from the top; a package imports only from those below it:

- ``cli``          the ``ragflow`` command: one boundary for errors, progress and ``--json``
- ``definitions``  Dagster's entry point
- ``defs``         thin Dagster: assets, checks, jobs, sensors, schedules, resources
- ``settings``     the only reader of ``RAGFLOW_*`` and ``ragflow.toml``
- ``pipeline``     the use cases, free of Dagster: scan, read, chunk, embed, build, gate, release, verify, search
- ``quality``      pure checks that return verdicts; Great Expectations suites
- ``sources``, ``ocr``, ``chunking``, ``embedding``, ``vectors``, ``sample``  siblings that do not know each other
- ``store``        where things lie: blobs, tables, manifests, releases; atomic writes and locks
- ``model``        frozen records, Arrow schemas, fingerprints; no I/O
- ``errors``       one hierarchy
"""

__version__ = "0.1.0"
