"""Puts the probes of the little worlds to a model: ``python -m training.evaluate_probes FOLDER``.

Each probe has its own wordings, arms and seeds; everything else is native to the model. The answers
are written to `probes.json` in the model's folder, and as a table into its README.
"""

import argparse
import json
import tempfile
from pathlib import Path

import pandas as pd

from sdlab import PROBES, measure, probe, run, stats
from sdlab.results.probes import Probe
from sdlab.results.probes.table import name_world
from training.card import ANSWERS, update_section, write_answers


def put_probe(row: Probe, model: str, store: str) -> dict:
    """Put one probe, and summarise its answers: a share or a mean for each arm."""
    frame = measure(run(probe(row.name, model=model), store), row.scorer)
    by = "arm" if row.arms else next(iter(row.axes), None)
    share = frame[row.column].dtype == "boolean"
    table = stats.rate if share else stats.yield_curve
    options = {} if share else {"k": 1}  # the best of one is the mean
    if by == "arm":  # the first one is what the others are compared with
        frame = frame[frame.groupby("arm")[row.column].transform("count") > 0]
    found = table(frame, row.column, by=by or (), **options)
    return {
        "question": row.question,
        "column": row.column,
        "share": bool(share),
        "published": [finding.figure for finding in row.findings],
        "rows": [summarise(each, by) for each in found.to_dict("records")],
    }


def summarise(row: dict, by: str | None) -> dict:
    """One row of the card's table."""
    arm = "" if by is None else row[by] if by == "arm" else f"{by} {row[by]:g}"
    value = row["share"] if "share" in row else row["best"]
    return {
        "arm": arm,
        "value": round(float(value), 3),
        "low": round(float(row["low"]), 3),
        "high": round(float(row["high"]), 3),
        "n": int(row["n"]),
        "prompts": int(row["prompts"]),
    }


def list_probes(model: str) -> list[str]:
    """List the probes of a model's own world."""
    world = name_world(model)
    return [name for name, row in PROBES.items() if name_world(row.models[0]) == world]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model", type=Path, help="the folder of an embedded model")
    parser.add_argument("--only", nargs="+", help="put these probes alone anew")
    options = parser.parse_args()
    names = options.only or list_probes(options.model.name)
    file = options.model / "probes.json"
    answers = json.loads(file.read_text())["probes"] if options.only else {}
    with tempfile.TemporaryDirectory() as store:
        for name in names:
            answers[name] = put_probe(PROBES[name], options.model.name, store)
            print(name, pd.DataFrame(answers[name]["rows"]).to_string(), sep="\n", flush=True)
    report = {
        "probes": {
            name: answers[name] for name in list_probes(options.model.name) if name in answers
        }
    }
    file.write_text(json.dumps(report, indent=1) + "\n")
    update_section(options.model / "README.md", ANSWERS, write_answers(report))


if __name__ == "__main__":
    main()
