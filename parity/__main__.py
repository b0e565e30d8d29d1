"""`python -m parity`: compare with upstream, write checkpoints of random weights, record upstream's numbers.

Runs in the project's own environment; what needs upstream is handed on to upstream's (`parity/environment.py`).
"""

import argparse
import sys
from pathlib import Path

from parity import environment

CACHE = environment.ROOT / "build" / "parity"
VARIANTS = ("english", "multilingual", "turbo", "nano", "vc")


def main() -> int:
    parser = argparse.ArgumentParser("parity", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    compare = commands.add_parser(
        "compare", help="both sides stage by stage; a line of JSON each, status 1 if one is off"
    )
    compare.add_argument("--variant", action="append", choices=VARIANTS, help="default: all")
    compare.add_argument("--device", default="cpu", help="where our side runs; upstream runs on the CPU")
    compare.add_argument(
        "--perturb", metavar="NAME", help="change this weight of ours by a tenth first: must be noticed"
    )
    compare.add_argument("--no-build", action="store_true", help="fail where upstream's environment is not there")
    write = commands.add_parser("write", help="a folder of random weights with the official names and shapes")
    write.add_argument("variant", help="english, multilingual, multilingual-v3, turbo, nano or vc")
    write.add_argument("folder", type=Path)
    write.add_argument("--tiny", action="store_true", help="a few layers of a few channels")
    modes = commands.add_parser("modes", help="how far each precision is from exact; a line of JSON a figure")
    modes.add_argument("--variant", action="append", choices=VARIANTS, help="default: all")
    modes.add_argument("--device", default="cpu")
    gpu = commands.add_parser("gpu", help="a GPU against the CPU, and how long it takes; status 1 if anything is off")
    gpu.add_argument("--variant", action="append", choices=VARIANTS[:-1], help="default: nano and english")
    gpu.add_argument("--device", default="cuda")
    gpu.add_argument("--tiny", action="store_true", help="tiny models and little work: whether the command is whole")
    commands.add_parser("record", help="upstream's numbers for tests/engines/chatterbox/references")
    args = parser.parse_args()

    if args.command == "write":
        from parity import checkpoints

        if args.variant not in checkpoints.RECIPES:
            parser.error(f"unknown variant {args.variant}; there are {', '.join(checkpoints.RECIPES)}")
        checkpoints.write(args.variant, args.folder, sizes="tiny" if args.tiny else "full")
        return 0
    if args.command == "modes":
        from parity import checkpoints
        from parity import modes as distances

        for variant in args.variant or VARIANTS:
            folder = checkpoints.write(variant, CACHE / variant, share=CACHE / "shared")
            for distance in distances.compare(variant, folder, args.device):
                sys.stdout.write(distance.line() + "\n")
                sys.stdout.flush()
        return 0
    if args.command == "gpu":
        from parity import gpu as checks

        return checks.main(args.variant or ["nano", "english"], CACHE, args.device, tiny=args.tiny)
    if _is_upstreams():
        from parity import run

        if args.command == "record":
            return run.record()
        return run.compare(args.variant or list(VARIANTS), CACHE, device=args.device, perturb=args.perturb)
    try:
        python = environment.interpreter(build=not getattr(args, "no_build", False))
    except environment.NoEnvironment as error:
        sys.stderr.write(f"{error}\n")
        return 2
    return environment.call(python, *sys.argv[1:])


def _is_upstreams() -> bool:
    """Whether upstream can be imported here. (Looked for, not imported: that takes ten seconds.)"""
    from importlib.util import find_spec

    return find_spec("chatterbox") is not None


if __name__ == "__main__":
    sys.exit(main())
