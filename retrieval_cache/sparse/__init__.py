"""BM25: text → terms → postings → hits."""
