"""Thin Dagster: each asset takes the workspace, calls one function of ``ragflow.pipeline``, and returns its report.

- ``partitions``  one partition per document batch
- ``resources``   the workspace, from the settings
- ``failures``    our errors in Dagster's words: what is retried and what is not
- ``metadata``    reports and verdicts as Dagster shows them
- ``columns``     what the columns of each asset mean
- ``assets``, ``checks``, ``jobs``, ``sensors``, ``schedules``
"""
