"""The tables of a model's card, written from evaluation.json so that the two cannot drift apart."""

from pathlib import Path

FIGURES = ("<!-- figures: written by training.evaluate -->", "<!-- end of figures -->")
ANSWERS = ("<!-- probes: written by training.evaluate_probes -->", "<!-- end of probes -->")
TRAINING = ("<!-- training: written by training.train -->", "<!-- end of training -->")
ROWS = {  # measure: what the card calls it
    "background": "background as asked",
    "emoji": "single emoji recognised",
    "shape": "single shape in its colour",
    "shape, held out": "of these, combinations never seen",
    "both": "both objects of a pair",
    "both, held out": "of these, pairs never seen",
    "either": "at least one object of a pair",
    "relation, given both": "relation right, where both are there",
    "count": "exactly the number asked",
    "count 2": "of these, two",
    "count 3": "of these, three",
    "count 4": "of these, four",
    "counted object": "a counted object recognised at all",
}


def format_share(figures: dict, n: int) -> str:
    """A share with its interval, and its number where it is not the row's."""
    low, high = figures["interval"]
    return f"{figures['share']:.2f} ({low:.2f}–{high:.2f})" + (
        f", n = {figures['n']}" if figures["n"] != n else ""
    )


def write_comparison(report: dict) -> str:
    """Write a Markdown table: a measure a row, a guidance value a column, the ceiling last."""
    columns = {
        f"guidance {value}": figures["measures"] for value, figures in report["guidance"].items()
    }
    columns["true renders"] = report["true_renders"]["measures"]
    lines = ["| measure | n | " + " | ".join(columns) + " |", "|---|---|" + "---|" * len(columns)]
    for measure, words in ROWS.items():
        if all(measure in figures for figures in columns.values()):
            n = columns["true renders"][measure]["n"]
            lines.append(
                f"| {words} | {n} | "
                + " | ".join(format_share(figures[measure], n) for figures in columns.values())
                + " |"
            )
    saturation = [
        *(figures["clipped"] for figures in report["guidance"].values()),
        report["true_renders"]["clipped"],
    ]
    return "\n".join(
        [
            *lines,
            "| values at 0 or 255 | | " + " | ".join(f"{part:.2f}" for part in saturation) + " |",
        ]
    )


def write_negative(report: dict) -> str:
    """What a negative prompt does, in one sentence."""
    part = report["negative"]
    free, asked = part["left open"], part["asked for"]
    return (
        f"Negative prompts, {part['n']} emoji at guidance {part['guidance_scale']:g}: a negative"
        " prompt that names the background which the seed chose removes it from"
        f" {free['removed']:.0%} of the pictures (the object is still recognised in"
        f" {free['object']:.0%}); where the prompt itself asks for that background, from"
        f" {asked['removed']:.0%}."
    )


def write_figures(report: dict) -> str:
    """What evaluation.json says, as the card says it."""
    return f"{write_comparison(report)}\n\n{write_negative(report)}"


def write_answers(report: dict) -> str:
    """What probes.json says, as the card says it: an arm a row, published figures beside it."""
    head = ("probe", "arm", "answer", "pictures", "published for Stable Diffusion")
    lines = [f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
    for name, facts in report["probes"].items():
        for n, row in enumerate(facts["rows"]):
            digits = 2 if facts["share"] else 1
            interval = f"{row['low']:.{digits}f}–{row['high']:.{digits}f}"
            cells = (
                f"`{name}`: {facts['question']}" if n == 0 else "",
                row["arm"],
                f"{row['value']:.{digits}f} ({interval})",
                f"{row['n']} of {row['prompts']} prompts",
                "; ".join(facts["published"]) if n == 0 else "",
            )
            lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


RESULTS = {  # what a stage notes about its end: how the card says it
    "psnr": "{} dB on pictures it has not seen",
    "validation_loss": "validation loss {}",
    "matched": "{:.0%} of 256 unseen captions find their picture",
    "depth_error": "mean error {}, where far is 0 and near is 1",
}


def write_training(record: dict) -> str:
    """What training.json says, as the card says it."""
    lines = ["| stage | steps | pictures seen | minutes | result |", "|---|---|---|---|---|"]
    for stage, facts in record.items():
        last = (
            facts[-1] if isinstance(facts, list) else facts
        )  # the denoiser notes each of its checkpoints
        seen = last.get("samples", last.get("pictures"))
        result = next(words.format(last[name]) for name, words in RESULTS.items() if name in last)
        lines.append(
            f"| {stage} | {last['steps']:,} | {seen:,} | {last['seconds'] / 60:.0f} | {result} |"
        )
    return "\n".join(lines)


def update_section(path: Path, marks: tuple[str, str], section: str) -> None:
    """Put a section between its two marks in a card; a card without the marks is left alone."""
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    if all(mark in text for mark in marks):
        before, after = text.split(marks[0])[0], text.split(marks[1])[1]
        path.write_text(f"{before}{marks[0]}\n\n{section}\n\n{marks[1]}{after}", encoding="utf-8")
