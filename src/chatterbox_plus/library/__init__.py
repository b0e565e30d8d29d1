"""The data folder: voices, conversion inputs and outputs, contained, atomic, never overwritten by accident."""
