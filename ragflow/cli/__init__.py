"""The ``ragflow`` command.

- ``main``      the boundary: errors to exit codes and one line, logs, ``--json``
- ``console``   output, progress bars, logs
- ``runs``      run Dagster jobs in this process
- ``archive``   ingest, status, releases, promote, rollback, verify
- ``find``      search, trace
- ``demo``      the demonstration
- ``dev``       Dagster's UI
"""
