"""The names and shapes of the official checkpoints, recorded from the modules of upstream 0.1.7 (`parity/shapes`).

A line is a pattern of names and their shape: `tfmr.h.{0-11}.ln_{1-2}.{weight,bias} 768`. `{a,b}` are alternatives,
`{2-5}` is a range, `n` in a dimension (`96+32n`) is the number that the first range of the pattern stands at, `scalar`
is no dimension. `@other` takes in another table; a later line overrules an earlier one.
"""

import itertools
import re
from pathlib import Path

SHAPES = Path(__file__).parent / "shapes"
Shape = tuple[int, ...]

_BRACES = re.compile(r"\{([^}]*)\}")
_DIMENSION = re.compile(r"(\d+)(?:\+(\d+)n)?")


def names(table: str) -> dict[str, Shape]:
    """Every tensor of an official file: its name and its shape. table: a file of `parity/shapes`, without suffix."""
    found: dict[str, Shape] = {}
    for line in (SHAPES / f"{table}.txt").read_text(encoding="utf-8").splitlines():
        if line.startswith("@"):
            found |= names(line[1:])
        elif line and not line.startswith("#"):
            pattern, *dimensions = line.split()
            found.update(_expand(pattern, [d for d in dimensions if d != "scalar"]))
    return found


def _expand(pattern: str, dimensions: list[str]) -> dict[str, Shape]:
    """One line: a name for every choice in every pair of braces, with its shape."""
    choices = [_choices(braces) for braces in _BRACES.findall(pattern)]
    first_range = next((i for i, words in enumerate(choices) if words[0].isdigit()), None)
    frame = _BRACES.sub("{}", pattern)
    found = {}
    for words in itertools.product(*choices):
        n = 0 if first_range is None else int(words[first_range])
        found[frame.format(*words)] = tuple(_size(dimension, n) for dimension in dimensions)
    return found


def _choices(braces: str) -> list[str]:
    if (numbers := re.fullmatch(r"(\d+)-(\d+)", braces)) is None:
        return braces.split(",")
    return [str(n) for n in range(int(numbers[1]), int(numbers[2]) + 1)]


def _size(dimension: str, n: int) -> int:
    if (match := _DIMENSION.fullmatch(dimension)) is None:
        raise ValueError(f"not a dimension: {dimension}")
    return int(match[1]) + int(match[2] or 0) * n
