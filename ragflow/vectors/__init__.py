"""Versioned vector collections.

- ``protocols``  what an engine has to do: readers, writers, the store of versions; records and settings
- ``checking``   what every engine asks of points, queries and filters before it takes them
- ``folders``    versions as folders: names, locks, completion, damage, the alias
- ``files``      durable and sparse file work below that
- ``edge``       Qdrant Edge, embedded in the process; the only module that imports ``qdrant_edge``

A version is built once by one writer, becomes complete with ``finish()``, and never changes afterwards. Any number of
processes read complete versions at the same time. The alias ``live`` names the version that is served.
"""
