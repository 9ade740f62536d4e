"""Tests of ragflow.ocr."""
