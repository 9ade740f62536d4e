"""Measurements, printed as one table: ``python -m ragflow_tests.benchmarks [NAME…] [--quick]``.

Nothing is asserted: a figure that misses its target is printed as missed. Where two things are compared, both are
measured in the same run, on the same files, by turns. Run it on a machine that does nothing else. Linux only.

- ``report``   a figure, and the table of all figures
- ``fresh``    run a command or a function as a new process and measure it; ``meter`` and ``child`` are that process
- ``material`` the documents that are measured on
- ``parts``    an ingest with a stopwatch on each of its parts
- ``beir``, ``brute_force``: test collections as PDFs, and what they are held against
- ``synthetic``, ``load_user``: what is searched for under load, and by whom
- ``ocr``, ``text_layer``, ``embedding``, ``unchanged``, ``verify``, ``bulk``, ``search``, ``retrieval``, ``load``,
  ``scale``, ``memory``, ``reading``: the benchmarks
"""
