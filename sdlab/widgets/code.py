"""A widget on a frame, as the Python that makes it again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd

from ..results.code import write_results_code


def write_comparison(frame: pd.DataFrame, root: Path | None, **given: Any) -> str:
    """Writes Python that runs the frame's requests and compares again.

    Without a store, at `root`, the frame is the reader's own.
    """
    call = f"Compare(results, {', '.join(f'{name}={value!r}' for name, value in given.items())})\n"
    if root is None:
        return (
            f"from sdlab.widgets import Compare\n\n# results: the frame of these pictures\n{call}"
        )
    first, rest = write_results_code(frame, root=root).split("\n", 1)
    return f"{first}\nfrom sdlab.widgets import Compare\n{rest}{call}"
