"""The use cases, free of Dagster.

Stages of a batch: ``raw_pdfs`` → ``ocr_text`` → ``chunks`` → ``embeddings``, each ``materialize(workspace, batch)``.
The corpus: ``desired`` (what should stand in the collection) → ``collection`` (build a candidate) → ``gate`` →
``release`` (move the alias, roll back). Around them: ``scanning``, ``ledger``, ``verification``, ``tracing``,
``searching``, ``overview``.
"""
