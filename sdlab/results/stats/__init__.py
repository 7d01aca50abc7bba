"""Statistics of a frame's columns: shares, differences, yields, rankings and agreement.

Each function takes a frame and gives one, with intervals, which a notebook shows with its sentences
(`verdict`, `note`) whole under the numbers; `plot` draws any of these. The
prompts are the sample, seeds, settings and negative prompts are repeats of one: intervals and tests
are over prompts, because seeds of one prompt resemble each other (an intraclass correlation of .2,
computed from the counts that VISOR, arXiv 2212.10015, published for Stable Diffusion 1.4 and 2.1).
"""

from .agreement import agreement
from .charts import plot
from .claims import Claim
from .paired import paired
from .preferences import preference
from .rankings import ranking
from .rates import rate, share_interval
from .yields import yield_curve

__all__ = [
    "Claim",
    "agreement",
    "paired",
    "plot",
    "preference",
    "ranking",
    "rate",
    "share_interval",
    "yield_curve",
]
