"""The assets: four per document batch, two for the whole archive."""

OWNERS = ["team:archive"]
BATCH_GROUP = "document_batches"
CORPUS_GROUP = "collection"
