"""The widgets that notebooks compose, each with `.value`, `.code` and `.freeze()`.

They show frames and make requests; what they do, the functions of `sdlab` do without them. A
picture of each widget's last state, which needs no kernel, stands below it in the saved notebook,
hidden while the widget itself is alive.
"""

import importlib

_API = {
    "SweepForm": "sweep_form.form",
    "SeedGrid": "seed_grid.grid",
    "Compare": "compare.compare",
    "Judge": "judge.judge",
    "WatermarkInspector": "inspector.inspector",
    "Inside": "inside.inside",
    "Predict": "predict.predict",
    "Workbench": "workbench.workbench",
}
__all__ = list(_API)


def __getattr__(name: str):
    if name in _API:
        return getattr(importlib.import_module(f".{_API[name]}", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}; it has {', '.join(_API)}")


def __dir__() -> list[str]:
    return list(_API)
