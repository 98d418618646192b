"""Search over embeddings, exact or approximate; the embedders are in `encoders`."""
