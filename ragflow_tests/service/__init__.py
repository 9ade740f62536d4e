"""Tests of the search service, over real HTTP."""
