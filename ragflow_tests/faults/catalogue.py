"""The faults, as plain data; no pipeline is known here.

- ``fault``                       what a fault is; the levels, and the fields of the rows
- ``faults_of_stages``            documents, pages, chunks, vectors
- ``faults_of_collections``       points, tables, records, alias, what is served, backups
- ``mutations``, ``mutations_served``  what they do: pure functions
"""

from __future__ import annotations

from ragflow_tests.faults.faults_of_collections import BACKUPS, CODE, LIVE, POINTS, RECORDS, TABLES
from ragflow_tests.faults.faults_of_stages import CHUNKS, PAGES, SOURCES, VECTORS

FAULTS = (*SOURCES, *PAGES, *CHUNKS, *VECTORS, *POINTS, *CODE, *TABLES, *RECORDS, *LIVE, *BACKUPS)
