"""Asset checks: what :mod:`ragflow.pipeline.batch_checks` says, as Dagster shows it.

A check that fails stops its own run. The gate does not count on that: it recomputes everything for itself.
"""
