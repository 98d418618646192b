"""Articles: read from files or the hub, counted, and what is known of their files."""
