"""How the house says how far it is."""

from collections.abc import Callable

Progress = Callable[[float, float | None], None]
"""Called with (done, total): passages, seconds or files; total is None while unknown."""
