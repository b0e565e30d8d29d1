"""Sound: read it, write it, change it. Knows nothing of text, engines or requests."""
