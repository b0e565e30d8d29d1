"""How fast, and in how much memory: `python -m bench` prints each figure as a JSON line.

Every input is computed, so the figures need no recordings and mean the same everywhere. A bench is a function of one
`Setting` that yields figures; the modules here list theirs in `BENCHES`.
"""
