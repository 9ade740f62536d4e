"""The search service: an HTTP API over what is live, and a page for people.

- ``serving``          runs the service until it is told to stop
- ``app``              puts everything together
- ``state``            what the parts of one service share
- ``live``             the version that the alias names, opened; follows the alias
- ``search_process``   a process beside this one that searches a version; ``search_start`` and ``search_worker`` are its
                       other end, ``search_tasks`` what goes to and fro
- ``query_embedding``  queries of many requests are embedded together
- ``search``, ``documents``, ``pages``, ``traces``, ``releases``, ``health``
                       the operations of the API, one module per subject
- ``schemas``, ``examples``
                       what requests must look like, and what answers look like, for the API's description
- ``problems``         every error as ``application/problem+json``
- ``metrics``          figures for Prometheus; ``observing`` counts every request
- ``security``, ``limits``, ``headers``, ``audit``
                       keys and scopes; rates, sizes and times; headers of answers; the log of queries, if wanted
- ``assistants``       the archive as tools for assistants (MCP)
- ``page``             the search page

Several services may run side by side, behind a proxy or on one machine: each follows the alias by itself, and an answer
always comes from one version as a whole. Limits on rates are counted in each of them.
"""
