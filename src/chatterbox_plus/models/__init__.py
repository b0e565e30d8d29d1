"""Which models there are, which are here, and how the others get here. Knows files, never tensors: no torch."""
