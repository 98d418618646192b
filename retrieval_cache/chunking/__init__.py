"""Articles → passages: sentence ends, token counts, the cut."""
