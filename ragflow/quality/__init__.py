"""Pure checks: tables and figures in, verdicts out. The asset checks and the gate use the same functions.

- ``documents``   manifest, documents and stored bytes agree
- ``pages``       no page without a status; texts and words as they were hashed; coverage
- ``chunks``      nothing lost, nothing too long
- ``embeddings``  a sound vector for every chunk
- ``points``      the collection holds what it should, exactly
- ``suites``      schema and ranges of every table, through Great Expectations
"""
