"""What lies on disk: passages, indexes, hits, manifests; how it is opened, found and verified."""
