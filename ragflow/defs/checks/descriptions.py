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
