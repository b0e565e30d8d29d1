"""Work that outlives its request: what asks for it, where it waits, and who is told. Knows synthesis; not HTTP."""
