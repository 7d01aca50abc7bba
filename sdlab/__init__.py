"""sdlab: understand image models by experiment.

A `Request` is one image's complete recipe; `sweep` makes many; `run` renders them into a `Store`; a
store reads as a pandas frame, and so do pictures from elsewhere (`read_pictures`); `measure`,
`image_grid` and `write_report` are functions of that frame. `detect_watermark` looks at any
picture. Nothing heavy is imported before it is needed.
"""

import importlib
import os

# as type checkers know it; importing typing takes longer than all of this
TYPE_CHECKING = False

if TYPE_CHECKING:
    from .models.model import Model
    from .models.resolve import resolve
    from .models.rows import MODELS
    from .recipe.request import Request
    from .recipe.sweep import sweep
    from .render.budget import estimate
    from .render.job import Job, run
    from .render.plan import preview
    from .results import stats
    from .results.attacks import robustness
    from .results.gallery import write_gallery
    from .results.grid import image_grid
    from .results.inside import inside
    from .results.pairs import pair
    from .results.probes import PROBES, probe
    from .results.report import write_report
    from .results.scorers import SCORERS, measure
    from .results.verify import verify
    from .store.readers.folder import read_pictures
    from .store.store import Store
    from .watermark import detect_watermark

__version__ = "0.1.0"
_ROOMS = {
    "errors": ("FieldError", "GenerationError"),  # not listed: `sdlab.errors` has them
    "recipe.request": ("Request",),
    "recipe.sweep": ("sweep",),
    "models.model": ("Model",),
    "models.rows": ("MODELS",),
    "models.resolve": ("resolve",),
    "store.readers.folder": ("read_pictures",),
    "store.store": ("Store",),
    "render.budget": ("estimate",),
    "render.job": ("Job", "run"),
    "render.plan": ("preview",),
    "results.pairs": ("pair",),
    "results.probes": ("PROBES", "probe"),
    "results.scorers": ("SCORERS", "measure"),
    "results.stats": ("stats",),
    "results.attacks": ("robustness",),
    "results.gallery": ("write_gallery",),
    "results.grid": ("image_grid",),
    "results.inside": ("inside",),
    "results.report": ("write_report",),
    "results.verify": ("verify",),
    "watermark": ("detect_watermark",),
}
_ROOM_OF = {name: room for room, names in _ROOMS.items() for name in names}
__all__ = [
    "MODELS",
    "PROBES",
    "SCORERS",
    "Job",
    "Model",
    "Request",
    "Store",
    "detect_watermark",
    "estimate",
    "image_grid",
    "inside",
    "measure",
    "pair",
    "preview",
    "probe",
    "read_pictures",
    "resolve",
    "robustness",
    "run",
    "stats",
    "sweep",
    "verify",
    "write_gallery",
    "write_report",
]


def ask_for_huge_pages(setting: str = "/sys/kernel/mm/transparent_hugepage/enabled") -> None:
    """Has torch ask Linux for huge pages where only who asks gets them; a user's choice stays.

    torch reads it before its first tensor. Each layer writes into fresh memory, and where it comes
    in pages of 4 kB a step of a wide UNet took 1.2 times as long, and decoding 1.3 times.
    """
    try:
        with open(setting) as file:
            asked = "[madvise]" in file.read()
    except OSError:  # another system
        return
    if asked:
        os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")


ask_for_huge_pages()


def __getattr__(name: str) -> object:
    if name in _ROOM_OF:
        from .recipe.collector import pause_collector

        with pause_collector():
            room = importlib.import_module(f".{_ROOM_OF[name]}", __name__)
        return room if name == "stats" else getattr(room, name)
    raise AttributeError(
        f"module {__name__!r} has no attribute {name!r}; it has {', '.join(__all__)}"
    )


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
