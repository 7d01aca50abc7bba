"""sdlab: understand image models by experiment.

A `Request` is one image's complete recipe; `sweep` makes many; `run` renders them into a `Store`; a store reads as a
pandas frame; `measure`, `image_grid` and `write_report` are functions of that frame. `detect_watermark` looks at any picture.
Nothing heavy is imported before it is needed.
"""
import importlib

__version__ = "0.1.0"
_API = {
    "Request": "request", "sweep": "request", "Model": "models", "MODELS": "models", "Store": "store",
    "run": "runner", "Job": "runner", "preview": "planning", "GenerationError": "lanes", "measure": "probes",
    "detect_watermark": "watermark", "image_grid": "views", "write_report": "report",
}
__all__ = list(_API)


def __getattr__(name: str):
    if name in _API:
        return getattr(importlib.import_module(f".{_API[name]}", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}; it has {', '.join(_API)}")


def __dir__() -> list[str]:
    return [*_API, "__version__"]
