"""The `ragflow` command on real PDFs through a real Dagster instance."""
