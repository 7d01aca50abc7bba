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
    "prompts": set(),
    "schedulers": set(),
    "request": {"axes", "models", "prompts", "watermark"},  # models inside `.key`: it needs the native values; watermark: names of marks
    "embedded": {"embedded"},
    "metadata": {"request", "models", "schedulers"},
    "progress": set(),
    "pickles": set(),
    "locations": set(),
    "checkpoints": {"pickles"},
    "layouts": {"checkpoints", "locations"},
    "catalogue": {"embedded", "layouts", "locations"},
    "models": {"catalogue", "checkpoints", "layouts", "request", "schedulers", "watermark"},  # watermark inside `resolve`: how large a mark is
    "pipelines": {"checkpoints", "layouts", "models", "schedulers", "__init__"},
    "render": {"pipelines", "prompts", "request", "watermark"},
    "files": set(),
    "events": set(),
    "index": {"metadata", "request"},
    "opinions": {"files"},
    "store": {"files", "index", "metadata", "opinions", "request"},
    "planning": {"models", "pipelines", "progress", "prompts", "request", "store"},
    "sketch": {"events", "pipelines", "planning"},
    "lanes": {"events", "models", "pipelines", "planning", "progress", "render", "request", "sketch", "store"},
    "runner": {"events", "lanes", "planning", "progress", "render", "request", "store"},
    "captions": {"request"},
    "pairs": {"captions", "checkpoints", "models", "request"},
    "sheet": {"captions"},
    "views": {"captions", "sheet"},
    "reproduce": {"captions", "request"},
    "report": {"captions", "files", "reproduce", "request", "sheet"},
    "watermark": {"metadata", "progress", "pipelines", "models", "request", "files"},
    "probes": {"watermark", "request", "progress"},
    "widgets": {"axes", "captions", "catalogue", "events", "files", "metadata", "models", "opinions", "pairs", "planning", "progress", "reproduce", "request", "runner",
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
