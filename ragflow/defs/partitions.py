"""One partition per document batch. Partitions are never deleted: a removed document is a line in a later batch."""

import dagster as dg

from ragflow.model.batches import DOCUMENT_BATCH

document_batches = dg.DynamicPartitionsDefinition(name=DOCUMENT_BATCH)
