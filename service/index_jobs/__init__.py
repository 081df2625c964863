"""Jobs over a whole space of the index: export, import, near-duplicates, re-indexing."""
