"""Every notebook keeps to the house's form, and runs."""

import ast
import time
from pathlib import Path

import nbformat
import numpy as np
import pytest
from nbclient import NotebookClient
from PIL import Image

from sdlab import PROBES

NOTEBOOKS = sorted((Path(__file__).parents[1] / "notebooks").glob("[0-9]*.ipynb"))
WORKBENCH = Path(__file__).parents[1] / "notebooks/workbench.ipynb"
FEWER = {  # suffice to see that every cell runs; the notebooks' own are for their readers
    "00_start_here": "seeds = range(1)",
    "01_seeds_and_guidance": "seeds = [0, 5]",
    "02_v1_vs_v2": "seeds = range(1); subjects = {who: known[:3] for who, known in subjects.items()}",
    "03_limitations": "seeds = range(1)",
    "04_image_to_image": "seeds = range(2); strengths = [.25, .5, 1.]",
    "05_depth_and_upscaling": "seeds = range(1); subjects = subjects[:2]",
    "06_small_machines": "seeds = range(2)",
    "07_watermarks": "prompts = prompts[:2]",
    "08_claims": "seeds = range(1)",
}
SMALLER = {  # what a cell says itself: {notebook: {its words: others}}
    "05_depth_and_upscaling": {"num_inference_steps=10)": "num_inference_steps=2)"},
    "06_small_machines": {"max(384, ": "max(256, "},
    "07_watermarks": {
        "num_inference_steps=10)": "num_inference_steps=2)",
        'search="all"': 'search="crop"',
    },
}
PROMPTS = {  # of probes: the four words "owl" to "war" and as many of counting; three of eight
    "03_limitations": ("4:8", ["tiny-lettering", "tiny-counting"]),
    "08_claims": (":3", ["tiny-counting", "tiny-relations", "tiny-cure", "tiny-binding"]),
}
FEWER_PROMPTS = """
from dataclasses import replace
from sdlab import PROBES
from sdlab.results.probes import table

table.LEAST = 3
for name in {1}:
    arms = {{
        arm: {{field: said if isinstance(said, str) else said[{0}] for field, said in told.items()}}
        for arm, told in PROBES[name].arms.items()
    }}
    PROBES[name] = replace(PROBES[name], prompts=PROBES[name].prompts[{0}], arms=arms)
del replace, PROBES, table, name, arms
"""
STEPS = {"07_watermarks": 10, "08_claims": 12}  # a strength of 0.1; enough to draw two things
FEWER_STEPS = """
from dataclasses import replace
from sdlab import MODELS

MODELS |= {name: replace(row, num_inference_steps=%d) for name, row in MODELS.items() if name.startswith("tiny-")}
del replace, MODELS
"""
by_name = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)


@by_name
def test_a_notebook_asks_one_question_and_defines_nothing(path):
    nb = nbformat.read(path, as_version=4)
    first_code = next(cell for cell in nb.cells if cell.cell_type == "code")
    assert nb.cells[0].source.splitlines()[0].endswith("?")
    assert first_code.metadata.tags == ["parameters"] and 10 <= len(nb.cells) <= 16
    for cell in nb.cells:
        if cell.cell_type == "code":
            nodes = list(ast.walk(ast.parse(cell.source)))
            assert not any(isinstance(node, (ast.FunctionDef, ast.ClassDef)) for node in nodes)
            assert len(cell.source.splitlines()) <= 12


@by_name
def test_a_notebook_imports_public_names_alone(path):
    for cell in nbformat.read(path, as_version=4).cells:
        for node in ast.walk(ast.parse(cell.source if cell.cell_type == "code" else "")):
            modules = [alias.name for alias in getattr(node, "names", ())]
            if isinstance(node, ast.ImportFrom):
                modules = [node.module]
            ours = {name for name in modules if name.split(".")[0] == "sdlab"}
            assert ours <= {"sdlab", "sdlab.pictures", "sdlab.widgets", "sdlab.watermark"}


WIDGETS = (
    *("SweepForm", "SeedGrid", "Compare", "Judge", "WatermarkInspector"),
    *("Inside", "Predict"),
)


@by_name
def test_what_a_widget_holds_is_the_input_of_a_later_cell(path):
    cells = [c.source for c in nbformat.read(path, as_version=4).cells if c.cell_type == "code"]
    shown = {
        node.targets[0].id: number
        for number, source in enumerate(cells)
        for node in ast.parse(source).body
        if isinstance(node, ast.Assign)
        and isinstance(node.value, ast.Call)
        and getattr(node.value.func, "id", "") in WIDGETS
    }
    made = sum(source.count(f"{name}(") for source in cells for name in WIDGETS)
    assert made == len(shown) and (made or path.stem == "06_small_machines")
    for name, number in shown.items():
        assert any(f"{name}.value" in source for source in cells[number + 1 :])


@pytest.mark.parametrize("path", [*NOTEBOOKS, WORKBENCH], ids=lambda p: p.stem)
def test_a_notebook_is_committed_without_outputs(path):
    nb = nbformat.read(path, as_version=4)
    assert (
        not any(cell.get("outputs") or cell.get("execution_count") for cell in nb.cells)
        and "widgets" not in nb.metadata
    )


def make_smaller(nb, path):
    """Puts less work into the cells of a notebook that say themselves how much they do."""
    for words, others in SMALLER.get(path.stem, {}).items():
        (cell,) = (cell for cell in nb.cells if words in cell.source)
        cell.source = cell.source.replace(words, others)


@by_name
def test_a_notebook_runs_and_leaves_a_report(path, tmp_path, request):
    if path != NOTEBOOKS[0]:  # one begins as a reader's does
        request.getfixturevalue("forked_kernels")
    nb = nbformat.read(path, as_version=4)
    make_smaller(nb, path)
    cell = next(cell for cell in nb.cells if "parameters" in cell.metadata.get("tags", ()))
    cell.source += "\n" + FEWER.get(path.stem, "") + FEWER_STEPS % STEPS.get(path.stem, 4)
    if path.stem in PROMPTS:
        cell.source += FEWER_PROMPTS.format(*PROMPTS[path.stem])
    NotebookClient(nb, timeout=600, resources={"metadata": {"path": str(tmp_path)}}).execute()
    kinds = [
        output.get("data", {}).keys() for cell in nb.cells for output in cell.get("outputs", [])
    ]
    assert (
        any("image/png" in kind for kind in kinds)
        and len(list(tmp_path.glob("reports/*.html"))) == 1
    )
    assert not any(
        output.output_type == "stream" for cell in nb.cells for output in cell.get("outputs", [])
    )


def test_the_notebook_of_limits_shows_banners_that_its_probe_asks_for():
    cells = nbformat.read(NOTEBOOKS[3], as_version=4).cells
    (source,) = (cell.source for cell in cells if "image_grid(signs" in cell.source)
    calls = [
        n
        for n in ast.walk(ast.parse(source))
        if getattr(n.func if isinstance(n, ast.Call) else 0, "attr", "") == "isin"
    ]
    calls.sort(key=lambda call: call.lineno)
    words, arms = (ast.literal_eval(call.args[0]) for call in calls)
    told = PROBES["tiny-lettering"].arms
    asked = {
        arm: {line.partition(" says ")[2] for line in fields["prompt"]}
        for arm, fields in told.items()
    }
    where = [next((arm for arm, said in asked.items() if word in said), None) for word in words]
    assert where == [
        *("shown, 3 or 4 letters", "shown, two words"),
        *("never shown, 3 or 4 letters", "never shown, two words"),
    ]
    assert arms == where[2:] and "two words" in cells[-1].source


def test_the_notebook_of_drawings_takes_one_of_any_size(tmp_path, forked_kernels):
    nb = nbformat.read(NOTEBOOKS[4], as_version=4)
    Image.new("RGBA", (96, 50), "red").save(tmp_path / "mine.png")
    del nb.cells[next(n for n, cell in enumerate(nb.cells) if "mask" in cell.source) :]
    nb.cells[1].source += "\ndrawing, seeds, strengths = 'mine.png', range(1), [.5, 1.]"
    nb.cells[1].source += FEWER_STEPS % 2
    lines = "[line.get_label() for line in axes.get_lines() if line.get_linestyle() == '--']"
    nb.cells.append(
        nbformat.v4.new_code_cell(f"source.size, results['width'].unique().tolist(), {lines}")
    )
    NotebookClient(nb, timeout=600, resources={"metadata": {"path": str(tmp_path)}}).execute()
    size, widths, lines = ast.literal_eval(nb.cells[-1].outputs[0].data["text/plain"])
    assert size == (64, 64) and widths == [64]
    assert lines == [  # each prompt's own
        "a big house on the grass: pixels, between seeds at strength 1",
        "a big castle on the beach: pixels, between seeds at strength 1",
    ]


def test_the_notebook_of_depth_takes_a_picture_of_any_size(tmp_path, forked_kernels):
    nb = nbformat.read(NOTEBOOKS[5], as_version=4)
    make_smaller(nb, NOTEBOOKS[5])
    del nb.cells[next(n for n, cell in enumerate(nb.cells) if "plt.subplots" in cell.source) :]
    Image.new("RGBA", (600, 450), "red").save(tmp_path / "mine.png")
    nb.cells[1].source += "\npicture, source_prompt = 'mine.png', 'a red wall'"
    nb.cells[1].source += "\n" + FEWER["05_depth_and_upscaling"] + FEWER_STEPS % 2
    nb.cells.append(
        nbformat.v4.new_code_cell(
            "{*results['width'].tolist()}, {*large['width'].tolist()}, {words for words, _ in ways}"
        )
    )
    NotebookClient(nb, timeout=600, resources={"metadata": {"path": str(tmp_path)}}).execute()
    widths, large, enlarged = ast.literal_eval(nb.cells[-1].outputs[0].data["text/plain"])
    assert widths == {64} and large == {256}
    assert "a red wall" in enlarged and len(enlarged) == 4


def test_the_notebook_of_marks_tells_nothing_of_what_is_found():
    source = nbformat.read(NOTEBOOKS[7], as_version=4).cells[-2].source
    calls = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call)]
    (reading,) = (call for call in calls if getattr(call.func, "id", "") == "read_pictures")
    assert not reading.keywords


def test_the_workbench_is_one_cell_and_runs(tmp_path, forked_kernels):
    nb = nbformat.read(WORKBENCH, as_version=4)
    (cell,) = (cell for cell in nb.cells if cell.cell_type == "code")
    assert cell.source == 'from sdlab.widgets import Workbench\n\nWorkbench("runs/mine")'
    NotebookClient(nb, timeout=600, resources={"metadata": {"path": str(tmp_path)}}).execute()
    assert "application/vnd.jupyter.widget-view+json" in cell.outputs[0].data


def notebook(*cells):
    return nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])


def test_a_job_is_safe_in_a_notebook_and_its_bar_ends_at_the_end(
    random_v1, tmp_path, forked_kernels
):
    nb = notebook(
        "from sdlab import Job, Request, sweep",
        f"job = Job(sweep(Request(model={str(random_v1)!r}, num_inference_steps=4), seed=range(20)), 'store')",
        "frame = job.result()\nprint(job.state, frame['path'].notna().sum())",
    )
    NotebookClient(nb, timeout=120, resources={"metadata": {"path": str(tmp_path)}}).execute()
    assert nb.cells[2].outputs[0].text == "done 20\n"
    (bar,) = nb.cells[1].outputs
    assert (
        bar.data["text/plain"] == "20 of 20 pictures finished"
        and "width:100.0%" in bar.data["text/html"]
    )


def test_the_stop_button_keeps_what_is_finished_and_the_notebook_goes_on(
    random_v1, tmp_path, forked_kernels
):
    from jupyter_client.manager import start_new_kernel

    manager, client = start_new_kernel(kernel_name="python3", cwd=str(tmp_path))
    try:
        client.execute(
            f"from sdlab import *\ncells = sweep(Request(model={str(random_v1)!r}, num_inference_steps=2), seed=range(2000))"
        )
        running = client.execute("run(cells, 'store', batch_size=2)", stop_on_error=False)
        end = time.monotonic() + 60
        while not list(tmp_path.glob("store/images/*/*.png")):
            assert time.monotonic() < end
            time.sleep(0.05)
        manager.interrupt_kernel()
        while (reply := client.get_shell_msg(timeout=60))["parent_header"]["msg_id"] != running:
            pass
        assert (
            reply["content"]["ename"] == "KeyboardInterrupt"
            and "run again to go on" in reply["content"]["evalue"]
        )
        after = client.execute(
            "",
            user_expressions={
                "n": "len(Store('store')), run(cells[:1], 'store').error.isna().all()"
            },
        )
        while (reply := client.get_shell_msg(timeout=60))["parent_header"]["msg_id"] != after:
            pass
        finished, fine = eval(
            reply["content"]["user_expressions"]["n"]["data"]["text/plain"], {"np": np}
        )
        assert 0 < finished < 2000 and fine
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
