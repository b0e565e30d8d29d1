"""Text: made speakable, cut into passages, and every piece still knows where in the original it came from."""
