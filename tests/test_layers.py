"""Who may import whom: the floors of the house, checked by reading the imports."""

import ast
import re
import subprocess
import sys
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import sdlab

PACKAGE = Path(sdlab.__file__).parent
FLOORS = (  # from the ground; a room sees only lower floors, and rooms of one floor do not see each other
    {"tiny", "errors", "pictures", "progress"},
    {"recipe", "watermark"},
    {"models", "store"},
    {"render"},
    {"results"},
    {"widgets"},
    {"__init__", "__main__"},
)


def module_at(path):
    """ "recipe.axes" for recipe/axes.py, "recipe" for recipe/__init__.py, "__init__" for the package's own."""
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts) or "__init__"


def room(module):
    return module.split(".")[0]


def imported(path, modules):
    """The modules of sdlab that a file imports, wherever in it, but for those that only a type checker reads."""
    tree, package = ast.parse(path.read_text()), ["sdlab", *path.relative_to(PACKAGE).parts[:-1]]
    for_types = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        for inner in ast.walk(node)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and id(node) not in for_types:
            base = package[: len(package) - node.level + 1] if node.level else []
            target = [*base, *(node.module or "").split(".")] if node.module else base
            if target[:1] == ["sdlab"]:
                for alias in node.names:
                    names = ".".join([*target[1:], alias.name]), ".".join(target[1:])
                    yield next((name for name in names if name in modules), "__init__")
        elif isinstance(node, ast.Import):
            yield from (
                a.name.removeprefix("sdlab.") for a in node.names if a.name.startswith("sdlab.")
            )


def edges(package=PACKAGE):
    paths = {module_at(path): path for path in sorted(package.rglob("*.py"))}
    return {module: set(imported(path, paths)) - {module} for module, path in paths.items()}


def upward(found):
    """The imports of a room on the same or a higher floor, "recipe -> models"."""
    floor = {name: number for number, names in enumerate(FLOORS) for name in names}
    return {
        f"{room(a)} -> {room(b)}"
        for a, others in found.items()
        for b in others
        if room(a) != room(b) and floor[room(a)] <= floor[room(b)]
    }


def circle(found):
    """Files that import one another in a circle; [] if there are none."""
    try:
        TopologicalSorter(found).prepare()
    except CycleError as error:
        return error.args[1]
    return []


def test_every_import_goes_down():
    assert upward(edges()) == set()


def test_no_files_import_one_another_in_a_circle():
    assert circle(edges()) == []


def test_an_import_upwards_and_a_circle_are_found():
    assert upward({"recipe.request": {"models.resolve"}}) == {"recipe -> models"}
    assert upward({"models.tasks": {"store.inputs"}}) == {"models -> store"}
    assert upward({"store.store": {"recipe.request", "store.index"}}) == set()
    assert circle({"a": {"b"}, "b": {"c"}, "c": {"a"}})


def count_lines(function):
    """The lines of a function without its docstring."""
    first = function.body[0]
    said = first.end_lineno - first.lineno + 1 if ast.get_docstring(function) is not None else 0
    return function.end_lineno - function.lineno + 1 - said


def find_long(text):
    functions = (ast.FunctionDef, ast.AsyncFunctionDef)
    found = [node for node in ast.walk(ast.parse(text)) if isinstance(node, functions)]
    return [node.name for node in found if count_lines(node) > 40]


def test_no_function_is_longer_than_forty_lines():
    assert [
        (path.name, find_long(path.read_text()))
        for path in PACKAGE.rglob("*.py")
        if find_long(path.read_text())
    ] == []
    assert find_long("def long():\n" + "    pass\n" * 40) == ["long"]
    assert find_long('def short():\n    """a\n\n    b"""\n' + "    pass\n" * 39) == []


def test_the_rooms_are_those_of_the_plan():
    rooms = {room(module_at(path)) for path in PACKAGE.rglob("*.py")}
    assert rooms <= set.union(*FLOORS) and len(rooms - {"__main__"}) <= 12


def test_importing_sdlab_loads_next_to_nothing():
    """0.1 s are promised; a busy machine takes longer, but loads no more."""
    code = "import sys; had = {*sys.modules}; import sdlab; print(*{*sys.modules} - had)"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    loaded = told.stdout.split()
    assert {name.partition(".")[0] for name in loaded} - sys.stdlib_module_names == {"sdlab"}
    assert len(loaded) <= 10


def test_a_form_comes_without_what_only_figures_and_statistics_need():
    code = (
        "import sys; from sdlab.widgets import SweepForm;"
        " print({'torch', 'matplotlib', 'scipy.stats', 'scipy.ndimage'} & set(sys.modules) or '')"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert told.returncode == 0 and told.stdout.strip() == ""


def test_every_public_name_is_there_and_documented():
    assert len(sdlab.__all__) <= 24
    for name in sdlab.__all__:
        thing = getattr(sdlab, name)
        assert name.isupper() or re.match(r"\S.{15,}", thing.__doc__), name
    with pytest.raises(AttributeError, match=r"it has .*Request"):
        sdlab.sweeep


COLD = """
import gc, sys, tempfile
full = []
gc.callbacks.append(lambda when, told: full.append(when) if told["generation"] == 2 else None)
from sdlab import *
run(Request(prompt="a red circle", num_inference_steps=1), tempfile.mkdtemp(), progress=False)
print(sorted({"matplotlib", "torch._inductor.compile_fx", "IPython"} & {*sys.modules}))
print(full.count("start"))
"""


@pytest.fixture(scope="module")
def first_picture():
    """What a session's first picture brings: (libraries that it does not need, full collections)."""
    told = subprocess.run([sys.executable, "-c", COLD], capture_output=True, text=True)
    assert told.returncode == 0, told.stderr
    brought, collections = told.stdout.splitlines()
    return brought, int(collections)


def test_a_first_picture_comes_without_what_only_figures_need(first_picture):
    assert first_picture[0] == "[]"


def test_a_first_picture_waits_for_hardly_a_full_collection(first_picture):
    assert first_picture[1] <= 3  # 8 where the collector walks along with every import
