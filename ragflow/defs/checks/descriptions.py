"""What each check proves, in one sentence; the same check has the same name at a batch and at the gate."""

DESCRIPTIONS = {
    "tables_intact": "The stored files hash to what the record says.",
    "schema_and_ranges": "Columns, types, null values, ranges and uniqueness (Great Expectations).",
    "documents_complete": "Every document of the manifest is there, with its hash and all its pages.",
    "blobs_intact": "The stored bytes of every document hash to their names.",
    "pages_accounted": "Pages in = indexed + blank + quarantined: no page without exactly one status.",
    "texts_intact": "Page texts and words hash to what was recorded.",
    "coverage": "Share of pages that are indexed or blank. A warning here; the gate decides on the whole archive.",
    "low_confidence": "Share of the characters read by OCR that stand in words of low confidence; names the worst pages"
    " and blocks. A warning here; the gate decides on the whole archive.",
    "chunks_cover_pages": "The chunks of a page are pieces of it and hold every character of it.",
    "chunks_fit_model": "No chunk is longer than what the embedding model reads, counted by its own tokenizer.",
    "embeddings_complete": "Every chunk text has exactly one vector.",
    "vectors_sound": "Vectors are finite, of unit length, of the model's dimension, and hash to what was recorded.",
    "precision_agrees": "The arithmetic in use gives what float32 gives, measured on a sample.",
    "version_sealed": "Every point is read back: their number and their Merkle root are what the build recorded.",
}

GATE_DESCRIPTIONS = {
    "manifests_chained": "The manifests of the document batches form an unbroken chain of hashes.",
    "batches_complete": "The candidate was built from every batch that there was.",
    "releases_chained": "The release records form an unbroken chain, and the alias is where the last of them says.",
    "read_again": "A sample of the new pages is read again from the stored bytes, and gives what is recorded.",
    "sources_seen": "A sample of the source files that a scan passes over as unchanged still has the bytes of then.",
    "payloads_match_tables": "A sample of the points says what stands on their pages: text, page number, boxes.",
    "cut_again": "New pages, cut again, give the chunks that are stored: text, boxes, language, confidence.",
    "vectors_match_texts": "The vectors of new texts are made again: all sparse ones, and a sample of the dense ones.",
    "served_coverage": "Of what was read, every document, page and character stands in a point of the candidate.",
    "garbled_text": "Share of the pages read by OCR with a region that is no language.",
    "model_matches": "The candidate was built by the model and the settings that queries will meet.",
    "golden_queries": "The user's questions are answered no worse than by the live version (nDCG@10, recall@10).",
    "known_items": "Texts drawn from the archive are found, no worse than in the live version (nDCG@10, recall@10).",
    "latency": "The 95th percentile of a search.",
    "canary_version": "After the move: the alias serves the version that was let through.",
    "canary_counts": "After the move: as many points are served as were released.",
    "canary_queries": "After the move: questions are answered through the alias as they were in the gate.",
    "stages_current": "Every stage of every batch was made from what stands before it now.",
    "ledger": "Over the whole archive, pages in = indexed + blank + quarantined.",
    "coverage": "Share of the archive's pages that are indexed or blank.",
    "low_confidence": "Share of the archive's characters read by OCR that stand in words of low confidence.",
    "points_exact": "The candidate holds exactly the points that the tables give, byte for byte.",
    "ready": "The engine has finished its work on the candidate, and it answers a query.",
}


def gate_description(name: str) -> str:
    """Return what a verdict of the gate proves, and that it was asked of everything again."""
    own = GATE_DESCRIPTIONS.get(name)
    return own or f"{DESCRIPTIONS[name]} Recomputed by the gate, over all batches."
