"""Images: from their sources, packed once, to batches."""
