"""Tests of ragflow.sample."""
