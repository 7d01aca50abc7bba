"""`python -m sdlab verify PLACE` and `report STORE`, for those who write no code."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command; the exit code says how it went."""
    parser = argparse.ArgumentParser(prog="python -m sdlab", description=__doc__)
    commands = parser.add_subparsers(required=True)
    add_verify(
        commands.add_parser("verify", help="render again, and say whether the same comes out")
    )
    add_report(commands.add_parser("report", help="write the report of a store"))
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
    from .results.verify.verdicts import CANNOT

    found = verify(given.place, given.n, seed=given.seed)
    print(found)
    if given.table:
        found.frame.to_csv(given.table, index=False)
    if given.figure and all(each.verdict == CANNOT for each in found.verdicts):
        print("no figure was written: nothing could be rendered again", file=sys.stderr)
    elif given.figure:
        found.draw().savefig(given.figure, dpi=200)
    return found.exit_code


def add_report(parser: argparse.ArgumentParser) -> None:
    """Adds what `write_report` takes from somebody who writes no code."""
    parser.add_argument("store", help="a store's folder")
    parser.add_argument("--title", help="the folder's name if left out")
    parser.add_argument("--text", help="an introduction")
    parser.add_argument("--notebook", help="whose prose goes in")
    parser.add_argument("--to", help="the HTML file; reports/NAME.html if left out")
    parser.add_argument("--verify", type=int, metavar="N", help="render so many again, and say so")
    parser.set_defaults(act=run_report)


def run_report(given: argparse.Namespace) -> int:
    """Writes the report of a store, and prints where it is."""
    from .results.report import write_report
    from .results.verify import verify
    from .store.store import Store

    place = Path(given.store).expanduser()
    if not (place / "images").is_dir():
        raise ValueError(f"{place} is no store; give the folder that run(plan, FOLDER) filled")
    store = Store(place)
    found = None if given.verify is None else verify(store, given.verify)
    name = place.absolute().name
    path = write_report(
        given.to or f"reports/{name}.html",
        given.title or name,
        store.frame(),
        text=given.text,
        notebook=given.notebook,
        verified=found,
    )
    print(path)
    return 0 if found is None else found.exit_code


if __name__ == "__main__":
    sys.exit(main())
