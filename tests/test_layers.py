"""Who may import whom: the architecture, checked by reading the imports."""
import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

import sdlab

PACKAGE = Path(sdlab.__file__).parent
MAY_IMPORT = {
    "axes": set(),
    "swaps": {"axes"},
    "prompts": set(),
    "schedulers": set(),
    "values": {"inputs", "prompts", "swaps", "watermark"},  # watermark inside: the names of marks
    "request": {"axes", "inputs", "models", "values"},  # models inside `.key`: it needs the native values
    "texts": {"prompts"},
    "inputs": {"files"},
    "tasks": {"inputs", "request"},  # request: the type alone
    "conditions": {"inputs", "pipelines", "request", "tasks"},
    "enlarging": {"pipelines", "request"},
    "embedded": {"embedded"},
    "metadata": {"additions", "inputs", "models", "request", "schedulers", "swaps"},
    "progress": set(),
    "memory": set(),
    "footprint": {"checkpoints", "layouts", "memory", "models", "pickles", "pipelines", "request"},
    "pickles": set(),
    "locations": set(),
    "checkpoints": {"pickles"},
    "layouts": {"checkpoints", "locations", "tasks"},
    "catalogue": {"embedded", "layouts", "locations"},
    "decoders": {"catalogue", "checkpoints", "layouts", "locations"},
    "additions": {"checkpoints", "layouts", "pickles"},
    "models": {"additions", "catalogue", "checkpoints", "decoders", "layouts", "request", "schedulers", "swaps", "tasks", "watermark"},  # watermark inside `resolve`: how large a mark is
    "fitting": {"additions", "checkpoints", "decoders", "layouts", "models", "pickles"},
    "pipelines": {"__init__", "checkpoints", "fitting", "layouts", "memory", "models", "schedulers", "tasks"},
    "render": {"conditions", "enlarging", "memory", "pipelines", "prompts", "texts", "request", "tasks", "watermark"},
    "files": set(),
    "events": set(),
    "index": {"metadata", "request"},
    "opinions": {"files"},
    "store": {"files", "index", "inputs", "metadata", "opinions", "request"},
    "planning": {"inputs", "models", "pipelines", "progress", "prompts", "request", "store", "tasks"},
    "sketch": {"events", "pipelines", "planning"},
    "lanes": {"events", "footprint", "latents", "memory", "models", "pipelines", "planning", "progress", "render", "request", "sketch", "store"},
    "latents": {"metadata", "models", "planning", "render", "store"},
    "runner": {"events", "inputs", "lanes", "memory", "pipelines", "planning", "progress", "render", "request", "store"},
    "captions": {"inputs", "request"},
    "pairs": {"captions", "checkpoints", "models", "request"},
    "sheet": {"captions"},
    "views": {"captions", "sheet"},
    "reproduce": {"captions", "catalogue", "inputs", "request"},
    "report": {"captions", "files", "report_inputs", "reproduce", "request", "sheet"},
    "report_inputs": {"captions", "inputs", "reproduce", "sheet"},
    "watermark": {"metadata", "progress", "pipelines", "models", "request", "files"},
    "probes": {"watermark", "request", "progress"},
    "widgets": {"axes", "captions", "catalogue", "events", "files", "inputs", "metadata", "models", "opinions", "pairs", "planning", "progress", "reproduce", "request", "runner",
                "store", "views", "watermark"},
    "__init__": {"request", "models", "store", "runner", "lanes", "planning", "views", "report", "watermark", "probes"},
}
HEAVY = ["torch", "diffusers", "transformers", "pandas", "matplotlib", "ipywidgets", "numpy", "PIL", "IPython"]


def room(path):
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imported(path):
    """The rooms that a module imports, wherever in it."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.level:
            deep = len(path.relative_to(PACKAGE).parts)
            if node.level < deep:
                yield room(path)  # inside its own room
            elif node.module:
                yield node.module.split(".")[0]
            else:
                yield from (alias.name if (PACKAGE / f"{alias.name}.py").exists() else "__init__" for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("sdlab"):
            yield [*node.module.split("."), "__init__"][1]


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda p: str(p.relative_to(PACKAGE)))
def test_a_room_imports_only_from_below(path):
    allowed = MAY_IMPORT[room(path)]
    assert set(imported(path)) - {room(path)} <= allowed


def test_importing_sdlab_loads_nothing_heavy():
    code = f"import sdlab, sys; print(sorted(set({HEAVY}) & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "[]"


def test_importing_sdlab_takes_a_small_part_of_what_python_itself_takes():
    """0.1 s are promised; Python's own start is the measure, so that a busy machine does not decide."""
    code = "import time; a = time.process_time(); import sdlab; b = time.process_time(); print(b - a, a)"
    best = min(float(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.split()[0])
               for _ in range(3))
    assert best < 0.1


def test_every_public_name_is_there_and_documented():
    for name in sdlab.__all__:
        thing = getattr(sdlab, name)
        assert name == "MODELS" or re.match(r"\S.{15,}", thing.__doc__), name
    with pytest.raises(AttributeError, match="it has Request"):
        sdlab.sweeep
