"""Model classes for lmms-eval that need no weights: `m4rag_reader` and `m4rag_replay`."""
