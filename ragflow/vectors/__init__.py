"""Versioned vector collections.

- ``protocols``   what an engine has to do: readers, writers, the store of versions; records and settings
- ``checking``    what every engine asks of points, queries and filters before it takes them
- ``folders``     versions as folders: names, locks, completion, damage, the alias, snapshots
- ``files``       durable and sparse file work below that
- ``views``       how a reader opens a folder without touching it
- ``edge``        Qdrant Edge, embedded in the process; ``edge_requests`` speaks its types
- ``server``      a Qdrant server; ``server_connection``, ``server_requests`` and ``server_points`` speak its client's
  types, and the others say how it is reached (``server_options``), who builds a version (``server_claims``), what is
  live (``server_alias``), when a version is complete (``server_completion``), how it is copied (``server_copies``),
  and how many points are under way (``server_uploads``)
- ``foreign``     collections that something else built, and how they are read (``foreign_*``)

A version is built once by one writer, becomes complete with ``finish()``, and never changes afterwards. Any number of
processes read complete versions at the same time. The alias ``live`` names the version that is served.
"""
