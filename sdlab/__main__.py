"""`python -m sdlab verify PLACE` and `report STORE`, for those who write no code."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command; the exit code says how it went."""
    parser = argparse.ArgumentParser(prog="python -m sdlab", description=__doc__)
    commands = parser.add_subparsers(required=True)
    add_verify(
        commands.add_parser("verify", help="render again, and say whether the same comes out")
    )
    given = parser.parse_args(arguments)
    try:
        return given.act(given)
    except (OSError, TypeError, ValueError) as error:
        print(f"{parser.prog}: {error}", file=sys.stderr)
        return 2


def add_verify(parser: argparse.ArgumentParser) -> None:
    """Adds what `verify` takes."""
    parser.description = (
        "Exit code 0: all come out the same; 1: one differs; 3: some cannot be rendered here;"
        " 2: nothing to verify."
    )
    parser.add_argument("place", help="a store's folder, a report, a picture or a folder of them")
    parser.add_argument("-n", type=int, help="how many, drawn by chance; all if left out")
    parser.add_argument("--seed", type=int, default=0, help="of that draw")
    parser.add_argument("--table", help="a CSV file to be written, a row a picture")
    parser.add_argument("--figure", help="a PNG file to be written, of the differences")
    parser.set_defaults(act=run_verify)


def run_verify(given: argparse.Namespace) -> int:
    """Verifies, and prints the answer."""
    from .results.verify import verify

    found = verify(given.place, given.n, seed=given.seed)
    print(found)
    if given.table:
        found.frame.to_csv(given.table, index=False)
    if given.figure:
        found.draw().savefig(given.figure, dpi=200)
    return found.exit_code


if __name__ == "__main__":
    sys.exit(main())
