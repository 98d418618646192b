"""Embedders: `base` says what one is, the other modules are ones that need no download."""
