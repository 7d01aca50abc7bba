"""What a `SweepForm` does for the hand: seeds are drawn, recipes loaded, values kept, axes followed, jobs taken over."""

import json
import time
from pathlib import Path

import pytest
from PIL import Image
from test_widget_form import CIRCLE, executed, filled
from test_widget_panel import idle

import sdlab.widgets.sweep_form.form as form_module
import sdlab.widgets.sweep_form.form_fields as fields_module
import sdlab.widgets.sweep_form.form_filling as filling_module
from sdlab import Job, Request, Store, run, sweep
from sdlab.recipe.spec import SEEDS
from sdlab.render.notes import find_strange_words
from sdlab.results.probes import PROBES
from sdlab.widgets import SeedGrid, SweepForm, WatermarkInspector, forms
from sdlab.widgets.sweep_form import jobs
from sdlab.widgets.sweep_form.form_fields import ahead
from sdlab.widgets.sweep_form.tools import BACK

LONG = sweep(Request(prompt="a cat", num_inference_steps=999), seed=range(30))
LETTER = (
    "a (red:1.3) fox\nNegative prompt: fog\nSteps: 12, Sampler: Euler a, CFG scale: 6.5, Seed: 99,"
    " Size: 512x448, Model: somebodys-own, RNG: GPU, Face restoration: CodeFormer"
)


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """Two pictures of one prompt in a store."""
    plan = sweep(Request(prompt="a {x} cat", num_inference_steps=2), seed=[3, 8])
    return run(plan, tmp_path_factory.mktemp("store"), progress=False)


@pytest.fixture
def in_cell(monkeypatch):
    """Forms are made in a cell of that name."""
    jobs._last_jobs.clear()
    return lambda name: monkeypatch.setattr(form_module, "name_cell", lambda: name)


def end(*running):
    for job in running:
        job.stop().wait(60)


# Seeds


def test_a_seed_of_minus_one_is_drawn_and_stands_there_as_its_number(tmp_path):
    form = filled(SweepForm(store=tmp_path), seed="0, -1, -1")
    first, *drawn = map(int, form.fields["seed"].value.split(", "))
    assert first == 0 and len(set(drawn)) == 2 and all(0 <= seed < SEEDS for seed in drawn)
    assert [request.seed for request in form.value] == [0, *drawn] and form.errors == {}
    assert f'seed="0, {drawn[0]}, {drawn[1]}"' in form.code


def test_the_dice_draws_as_many_seeds_as_there_are(tmp_path):
    form = filled(SweepForm(store=tmp_path), seed="0-2")
    form._fields["seed"].dice.click()
    drawn = [request.seed for request in filled(form).value]
    assert len(set(drawn)) == 3 and drawn != [0, 1, 2]
    form._fields["seed"].dice.click()
    assert [request.seed for request in filled(form).value] != drawn


# Recipes


@pytest.mark.parametrize("how", ["row", "frame of a row", "file", "request"])
def test_a_form_begins_with_what_one_has_and_can_be_filled_in_from_it(how, results, tmp_path):
    row, path = results.iloc[1], results["path"].iloc[1]
    given = {
        "row": row,
        "frame of a row": results.iloc[[1]],
        "file": path,
        "request": Request(prompt="a x cat", num_inference_steps=2, seed=8),
    }[how]
    for form in (SweepForm(given, tmp_path / "a"), SweepForm(store=tmp_path / "b")):
        form.load(given)
        assert [(r.prompt, r.seed, r.num_inference_steps) for r in filled(form).value] == [
            ("a x cat", 8, 2)
        ]
        assert form.errors == {} and form.value[0].weights is None


def test_what_was_loaded_is_the_same_picture(results):
    form = SweepForm(results.iloc[1], Store(results["path"].iloc[1].split("/images")[0]))
    assert filled(form).status == "1 picture, all finished: nothing to render"


def test_a1111s_recipe_is_loaded_and_what_sdlab_lacks_is_said(tmp_path):
    from PIL.PngImagePlugin import PngInfo

    info = PngInfo()
    info.add_text("parameters", LETTER)
    Image.new("RGB", (8, 8)).save(tmp_path / "found.png", pnginfo=info)
    form = SweepForm(tmp_path / "found.png", tmp_path / "store")
    (request,) = form.value
    assert (request.prompt, request.negative_prompt) == ("a (red:1.3) fox", "fog")
    assert (request.num_inference_steps, request.guidance_scale, request.seed) == (12, 6.5, 99)
    assert (request.width, request.height) == (512, 448)
    assert request.scheduler.startswith("EulerAncestralDiscreteScheduler")
    assert request.prompt_syntax == "weights"  # there brackets always count
    assert "Filled in from found.png" in form._note.value
    assert "noise made on the GPU; Face restoration: CodeFormer" in form._note.value
    assert list(filled(form).errors) == ["model"] and "somebodys-own" in form.errors["model"]


def test_nothing_is_taken_of_a_picture_without_a_recipe_but_on_a_field_of_pictures(tmp_path):
    Image.new("RGB", (64, 64), "red").save(tmp_path / "plain.png")
    with pytest.raises(ValueError, match="'plain.png' carries no recipe"):
        SweepForm(tmp_path / "plain.png", tmp_path / "store")
    form = SweepForm(Request(prompt="another's"), tmp_path / "store")
    before = form._texts()
    form._files_came("", [("plain.png", (tmp_path / "plain.png").read_bytes())])
    assert form._texts() == before and not form.fields["image"].value
    assert "carries no recipe" in form._note.value and "Nothing was taken" in form._note.value
    form._files_came("image", [("plain.png", (tmp_path / "plain.png").read_bytes())])
    assert form.fields["image"].value == "plain.png (uploaded)" and not form._said
    form._files_came("mask_image", [("m.png", (tmp_path / "plain.png").read_bytes())])
    assert form.fields["mask_image"].value == "m.png (uploaded)"


def test_a_mark_that_a_recipe_brings_along_is_said_and_its_error_opens_its_fold(tmp_path):
    form = SweepForm(store=tmp_path / "store")
    form.open_recipe(Request(prompt="a cat", height=256, width=256, watermark="sd-v1"))
    assert "every picture of it is marked, too: watermark sd-v1" in form._note.value
    fold = next(fold for fold in form._folds if form._fields["watermark"] in fold.fields)
    assert not fold.button.value
    filled(form, height="64", width="64")
    assert list(form.errors) == ["watermark"]
    assert fold.button.value and fold.inside.layout.display is None
    form.open_recipe(Request(prompt="a dog"))
    assert "marked" not in form._note.value


def test_a_file_that_the_page_sends_in_parts_fills_the_form_in(results, tmp_path):
    form, data = SweepForm(store=tmp_path), Path(results["path"].iloc[0]).read_bytes()
    for at in range(0, len(data), 4000):
        question = {"kind": "part", "id": at, "file": "f", "name": "a.png", "size": len(data)}
        form._script._hear(None, {**question, "at": at, "field": ""}, [data[at : at + 4000]])
    assert [request.seed for request in form.value] == [3] and form._script.fillings == 1


def test_what_a_page_asks_again_while_python_is_busy_is_done_once(results, tmp_path):
    form, data = SweepForm(store=tmp_path), Path(results["path"].iloc[0]).read_bytes()
    part = {"kind": "part", "id": "a", "file": "f", "name": "a.png", "size": len(data), "at": 0}
    runs, answers = [], []
    form._script._run = lambda: runs.append(form.fields["seed"].value)
    form._script.send = lambda content, buffers=None: answers.append(content)
    for _ in range(2):
        form._script._hear(None, {**part, "field": ""}, [data])
        form._script._hear(None, {"kind": "run", "id": "b", "field": "seed", "text": "0-2"}, [])
    form._script._hear(None, {"kind": "run", "id": "c", "field": "seed", "text": "5"}, [])
    assert form._script.fillings == 1 and runs == ["0-2", "5"]
    assert [answer["re"] for answer in answers] == list("ababc")
    assert {answer["kind"] for answer in answers} == {"received", "running"}


@pytest.fixture
def ask(monkeypatch):
    """ask(widget, kind, ...) -> what the widget has sent once its workers are idle; no form is there yet."""
    monkeypatch.setattr(forms, "_forms", [])

    def ask(widget, kind, **content):
        sent = []
        widget.send = lambda content, buffers=None: sent.append(content)
        widget._handle_custom_msg({"kind": kind, "id": f"{content}", **content}, [])
        idle()
        return sent

    return ask


def test_a_recipe_of_a_grid_opens_in_the_form_that_was_shown_last(ask, results, tmp_path):
    first, last = (SweepForm(store=tmp_path / name) for name in "ab")
    grid = SeedGrid(results)
    assert (
        ask(grid, "open", cell=1)
        == ask(grid, "open", cell=1)
        == [{"kind": "opening", "re": "{'cell': 1}"}]
    )
    assert [r.seed for r in filled(last).value] == [8] and last._script.fillings == 1
    assert 'prompt="a x cat"' in last.code and "seed=8" in last.code
    assert "from the chosen picture" in last._note.value
    first.forget_page()  # it is shown again
    ask(grid, "open", cell=0)
    last.close()
    assert [r.seed for r in filled(first).value] == [3] and first._script.fillings == 1


def test_a_picture_of_a_forms_own_grid_opens_in_that_form(ask, tmp_path):
    form = filled(SweepForm(Request(prompt="a cat", num_inference_steps=2), tmp_path), seed="4-5")
    form.run().wait(60)
    SweepForm(store=tmp_path / "other")
    assert ask(form.grid, "open", cell=1)[0]["kind"] == "opening"
    assert filled(form).fields["seed"].value == "5"


def test_without_a_form_a_recipe_is_not_opened_and_what_to_do_is_said(ask, results, tmp_path):
    grid = SeedGrid(results)
    (said,) = ask(grid, "open", cell=1)
    assert said["kind"] == "error" and "run SweepForm()" in said["text"]
    SweepForm(store=tmp_path).close()
    assert ask(grid, "open", cell=1)[0]["kind"] == "error"


def test_the_recipe_in_an_inspected_file_opens_in_the_form(ask, results, tmp_path):
    form = SweepForm(store=tmp_path)
    Image.new("RGB", (64, 64)).save(tmp_path / "bare.png")
    letter = Image.new("RGB", (64, 64))
    letter.info["parameters"] = LETTER
    images = [results["path"].iloc[1], letter, tmp_path / "bare.png"]
    inspector = WatermarkInspector(images, folder=tmp_path)
    inspector.wait(60)
    ask(inspector, "open", cell=0)
    assert [r.seed for r in filled(form).value] == [8]
    assert f"Filled in from {Path(images[0]).name}" in form._note.value
    ask(inspector, "open", cell=1)
    assert filled(form).fields["prompt"].value == "a (red:1.3) fox"
    assert "carries no recipe" in ask(inspector, "open", cell=2)[-1]["text"]
    assert form._script.fillings == 2


def test_several_rows_and_labels_are_refused(results, tmp_path):
    with pytest.raises(ValueError, match="one row, not 2"):
        SweepForm(results, tmp_path)


def test_the_chosen_picture_of_the_grid_is_varied(tmp_path):
    form = filled(SweepForm(sweep(CIRCLE, seed=range(2)), tmp_path))
    form.run().wait(60)
    assert form._vary.description == f"Vary picture 1: {form.grid.captions[0]}"
    form.grid.focused = 3
    assert form._vary.description == f"Vary picture 4: {form.grid.captions[3]}"
    wanted = form.job.requests[3]
    form._vary_chosen(form.job, form.grid.focused)
    (request,) = filled(form).value
    assert (request.prompt, request.seed) == (wanted.prompt, wanted.seed)
    assert "all finished" in form.status
    assert f"Filled in from picture 4: {form.grid.captions[3]}" in form._note.value


def test_what_stood_in_the_form_before_a_recipe_came_can_be_had_back(tmp_path, results):
    form = filled(SweepForm(store=tmp_path), prompt="a {cat|dog}", seed="1-6", strength="0.5, 0.9")
    plan = form.value
    form.open_recipe(results.iloc[[0]])
    assert filled(form).value != plan and form._tools.swap.description == "As before"
    form.open_recipe(results.iloc[[0]])  # once more changes nothing
    form._tools.swap.click()
    assert filled(form).value == plan and "as before" in form._note.value
    assert form._tools.swap.layout.display == "none"
    file = Path(results["path"].iloc[0])
    form._files_came("", [(file.name, file.read_bytes())])
    assert filled(form).value != plan
    form._tools.swap.click()
    assert filled(form).value == plan


# Kept


def test_what_is_filled_in_comes_back_with_the_next_form_of_the_store(tmp_path):
    form = filled(SweepForm(store=tmp_path), prompt="a cat\na dog", seed="0-3")
    form.fields["scheduler"].value = (None, "DDIMScheduler")
    picture = Image.new("RGB", (64, 64), "blue")
    picture.save(tmp_path / "sky.png")
    form._files_came("image", [("sky.png", (tmp_path / "sky.png").read_bytes())])
    filled(form), ahead.submit(lambda: None).result()
    again = filled(SweepForm(store=tmp_path))
    assert again.value == form.value and again.fields["image"].value == "sky.png (uploaded)"
    assert "as last time" in again._note.value
    again._tools.swap.click()  # Begin anew
    assert filled(again).value == [Request()] and "last time" not in again._note.value
    again._tools.swap.click()  # As last time
    assert filled(again).value == form.value


def test_a_plan_that_is_given_is_kept_and_last_time_is_offered(tmp_path):
    filled(SweepForm(store=tmp_path), prompt="a dog"), ahead.submit(lambda: None).result()
    form = SweepForm(sweep(CIRCLE, seed=range(2)), tmp_path)
    assert form.value == sweep(CIRCLE, seed=range(2))
    assert form._tools.swap.description == "As last time" and not form._tools.swap.layout.display
    form._tools.swap.click()
    assert [request.prompt for request in form.value] == ["a dog"]


def test_a_damaged_note_of_last_time_is_no_hindrance(tmp_path):
    for text in ("{", "[]", '{"texts": {"prompt": 3, "x": "y"}, "called": {"image": 1}}'):
        (tmp_path / "form.json").write_text(text)
        assert SweepForm(store=tmp_path).value == [Request()]


def test_a_program_that_runs_a_notebook_begins_with_nothing(tmp_path, monkeypatch):
    (tmp_path / "form.json").write_text(json.dumps({"texts": {"prompt": "a dog"}, "called": {}}))
    monkeypatch.setattr(filling_module, "is_unattended", lambda: True)
    assert SweepForm(store=tmp_path).value == [Request()]


# Rows and columns


def test_rows_that_vary_no_more_are_automatic_until_they_do_and_that_is_said(tmp_path):
    plan = sweep(Request(prompt="a {object=cat|dog}"), seed=range(2))
    form = filled(SweepForm(plan, tmp_path, row="object", col="seed"))
    filled(form, prompt="a {object=cat")
    assert form._row.value == "object"  # while there is an error, nothing is known
    filled(form, prompt="a cat", seed="0")
    assert form._row.value == form._col.value == ""
    assert "rows: object does not vary now, so automatic" in form._note.value
    assert "columns: seed does not vary now, so automatic" in form._note.value
    form.run().wait(60)
    assert form.results["path"].notna().all()
    filled(form, seed="0-3")
    assert form._row.value == "" and form._col.value == "seed"


def test_columns_that_were_chosen_for_one_run_hide_no_picture_of_the_next(tmp_path):
    form = filled(SweepForm(sweep(CIRCLE, guidance_scale=[1, 4]), tmp_path))
    form.run().wait(60)
    form._col.value = "guidance_scale"
    form.load(sweep(CIRCLE.but(guidance_scale=4.0), seed=range(4)))  # and Run at once
    form.run().wait(60)
    assert len(form.grid.in_view()) == 8 and form._col.value == ""
    assert "columns: guidance_scale does not vary now, so automatic" in form._note.value
    assert form._wanted[form._col] == "guidance_scale"


def test_sides_that_are_laid_out_late_do_not_bring_back_the_run_before(tmp_path):
    """As on a slow machine: columns are chosen, and Run is clicked before they are there."""
    form = filled(SweepForm(sweep(CIRCLE, guidance_scale=[1, 4]), tmp_path))
    before = form.run()
    before.wait(60)
    filled(form, seed="0-3")
    job = form.run()
    form._try_to_arrange(before, dict(form._wanted))
    assert form.job is job and len(form.grid.captions) == 16
    form._try_to_arrange(job, dict(form._wanted))
    assert len(form.grid.captions) == 16
    job.wait(60)


def test_sides_that_are_chosen_while_a_run_begins_are_those_of_its_pictures(tmp_path, meanwhile):
    form = filled(SweepForm(sweep(CIRCLE, guidance_scale=[1, 4], seed=range(2)), tmp_path))
    choosing = meanwhile(form_module, "SeedGrid", setattr, form._row, "value", "seed")
    job = form.run()
    choosing.join()
    end = time.monotonic() + 60
    while form.grid.places["row_name"] != "seed":
        assert time.monotonic() < end
        time.sleep(0.05)
    assert job.wait(60)


def test_rows_and_columns_are_changed_without_another_run(tmp_path, monkeypatch):
    form = filled(SweepForm(sweep(CIRCLE, seed=range(2)), tmp_path))
    job = form.run()
    job.wait(60)
    form._row.value = "seed"
    end = time.monotonic() + 60
    while form.grid.places["row_name"] != "seed":
        assert time.monotonic() < end
        time.sleep(0.05)
    assert form.job is job
    assert executed(form.code, monkeypatch)[1][1] == {"row": "seed"}


def test_what_was_varied_last_stands_down_and_the_code_says_so(tmp_path, monkeypatch):
    form = filled(SweepForm(sweep(CIRCLE, seed=range(2)), tmp_path))
    assert "SeedGrid" not in form.code
    filled(form, guidance_scale="1, 4")
    sides = {"row": "guidance_scale", "col": "seed"}
    assert executed(form.code, monkeypatch)[1][1] == sides
    filled(form, prompt="a {hot|cold} circle")
    filled(form, guidance_scale="1, 7")
    assert executed(form.code, monkeypatch)[1][1] == sides
    form.run().wait(60)
    assert (form.grid.places["row_name"], form.grid.places["col_name"]) == tuple(sides.values())
    filled(form, prompt="a {warm|cold} circle", num_inference_steps="3")
    assert executed(form.code, monkeypatch)[1][1] == {"row": "warm|cold", "col": "seed"}


# Words


def test_words_that_a_model_was_never_shown_are_named_at_the_prompt(tmp_path):
    form = filled(SweepForm(Request(prompt="an astronaut riding a red Cat"), tmp_path))
    assert "tiny-v1 was never shown: astronaut, riding<" in form._fields["prompt"].message
    filled(form, prompt="two cats to the left of a tree at night")
    assert form._fields["prompt"].message == ""
    filled(form, prompt="a woman", model=("tiny-v1", "tiny-v2"))
    assert form._fields["prompt"].message.count("tiny-v2 was never shown: woman<") == 1


def test_strange_words_of_pictures_that_are_finished_are_named_too(tmp_path):
    request = Request(prompt="an astronaut", num_inference_steps=1, scheduler="Euler SGM Uniform")
    run(request, tmp_path, progress=False)
    form = filled(SweepForm(request, tmp_path))
    assert "all finished" in form.status
    assert form._fields["prompt"].message.count("never shown: astronaut<") == 1


@pytest.mark.parametrize("name", ["tiny-relations", "tiny-binding", "tiny-held-out"])
def test_the_words_of_the_probes_about_the_little_world_were_shown(name):
    prompts = [request.prompt for request in PROBES[name].list_requests()]
    assert [word for p in prompts for word in find_strange_words("tiny-v1", p, None)] == []


def test_the_pieces_of_prompts_are_shown_on_demand(tmp_path):
    form = filled(SweepForm(Request(prompt="an astronaut"), tmp_path))
    assert form._pieces.inside.value == ""
    form._pieces.button.value = True
    assert form.wait(60)
    ahead.submit(lambda: None).result()
    assert "an a|st|ro|na|u|t" in form._pieces.inside.value
    assert form._script.folds[form._pieces.title] is True


@pytest.mark.parametrize(
    ("model", "probes"),
    [
        ("tiny-v1", {"tiny-counting", "tiny-relations", "tiny-negation"}),
        ("tiny-letters", {"tiny-lettering"}),
        ("tiny-v1, tiny-signs", {"counting", "relations", "lettering", "negation"}),
    ],
)
def test_prompts_to_begin_with_are_of_the_probes_about_what_the_models_know(
    model, probes, tmp_path
):
    form = filled(SweepForm(store=tmp_path), model=tuple(model.split(", ")))
    offered = [prompt for _, prompt in form._tools.beginnings.options if prompt]
    of_probes = [{request.prompt for request in PROBES[n].list_requests()} for n in probes]
    assert set(offered) <= set.union(*of_probes) and all(map(set(offered).__and__, of_probes))


def test_a_prompt_to_begin_with_replaces_what_was_written_which_comes_back(tmp_path):
    form = filled(SweepForm(store=tmp_path))
    offered = [prompt for _, prompt in form._tools.beginnings.options if prompt]
    for prompt in offered[:2]:  # the second takes the place of the first
        form._tools.beginnings.value = prompt
        assert form.fields["prompt"].value == prompt and form._tools.beginnings.value == ""
    filled(form, prompt="mine")
    form._tools.beginnings.value = offered[0]
    assert form.fields["prompt"].value == offered[0]
    assert (form._tools.swap.description, form._tools.swap.layout.display) == (BACK, None)
    form._tools.swap.click()
    assert form.fields["prompt"].value == "mine"


def test_a_prompt_to_begin_with_names_the_settings_that_stay(tmp_path):
    found = Request(negative_prompt="blurry", height=128, width=64, seed=42, guidance_scale=4)
    form = filled(SweepForm(found.but(scheduler="Euler a", num_inference_steps=30), tmp_path))
    offered = [prompt for _, prompt in form._tools.beginnings.options if prompt]
    form._tools.beginnings.value = offered[0]
    assert form.wait(60)
    said = "Kept from before: negative_prompt blurry; "
    assert said in form._note.value and "height 128" in form._note.value
    assert "scheduler Euler a" in form._note.value and "num_inference_steps" in form._note.value
    for own in ("guidance_scale", "width", "seed"):  # what tiny-v1 has of itself, and no setting
        assert own not in form._note.value


def test_a_form_looks_again_when_another_cell_has_rendered_what_it_asks_for(tmp_path):
    form = filled(SweepForm(sweep(CIRCLE, seed=range(2)), tmp_path))
    assert "4 pictures: 0 finished" in form.status
    run(form.value, tmp_path, progress=False)
    end = time.monotonic() + 60
    while "all finished" not in form.status:
        assert time.monotonic() < end
        time.sleep(0.05)


# What was read


def test_a_decimal_comma_is_said_to_part_values(tmp_path):
    form = filled(SweepForm(store=tmp_path), guidance_scale="7,5")
    assert "read as 2 values, 7 and 5" in form._fields["guidance_scale"].message
    for text in ("7, 5", "7.5", "1-3"):
        filled(form, guidance_scale=text)
        assert form._fields["guidance_scale"].message == ""


def test_weights_in_a_prompt_without_the_syntax_are_said_to_be_plain(tmp_path):
    form = filled(SweepForm(store=tmp_path), prompt="a (red:1.3) cat")
    assert "(red:1.3) is read as plain characters" in form._fields["prompt"].message
    filled(form, prompt_syntax="weights")
    assert form._fields["prompt"].message == ""


def test_messages_speak_no_python(tmp_path):
    form = filled(SweepForm(store=tmp_path), strength="0.5")
    assert "=" not in form._fields["strength"].message.split(">", 1)[1]
    assert "strength 0.5" in form._fields["strength"].message


def test_a_section_that_an_error_opened_closes_with_it(tmp_path):
    form = filled(SweepForm(store=tmp_path), model=("tiny-x4",))
    pictures = form._folds[0]
    assert pictures.button.value and list(form.errors) == ["image"]
    filled(form, model=("tiny-v1",))
    assert not pictures.button.value
    pictures.button.value = True  # opened by hand it stays open
    filled(form, seed="3")
    assert pictures.button.value


# Jobs


def test_a_cell_that_is_run_again_takes_its_own_job_over(tmp_path, in_cell):
    in_cell("one")
    first = SweepForm(LONG, tmp_path)
    job = first.run()
    in_cell("another")
    assert SweepForm(LONG, tmp_path).job is None
    in_cell("one")
    second = SweepForm(LONG, tmp_path)
    assert second.job is job and second.running and second.grid.job is job
    assert not second._stop.disabled and second._run.disabled
    second._stop.click()
    assert job.wait(60) and second.wait(60) and not second.running and not second._run.disabled


def test_a_cell_that_is_run_again_in_mid_run_is_filled_in_with_what_runs(tmp_path, in_cell):
    in_cell("one")
    first = filled(SweepForm(LONG, tmp_path), seed="0-4")
    job = first.run()
    changed = sweep(Request(prompt="a {hamster|rocket}"), seed=range(60))
    second = SweepForm(changed, tmp_path, row="hamster|rocket", col="seed")
    try:
        assert second.job is job and second.fields["prompt"].value == "a cat"
        assert [request.seed for request in second.value] == list(range(5))
        assert "filled in is what it renders" in second._note.value
        assert second.grid.col == ["seed"] and second.running
        third = SweepForm(store=tmp_path)
        assert third.value == second.value
    finally:
        end(job)
    assert second.wait(60) and "of 5 pictures finished (stopped)" in second._line.value
    assert "is running" not in second._note.value
    second._tools.swap.click()
    assert second.fields["prompt"].value == "a {hamster|rocket}"
    assert len(second.value) == 120 and "stopped" not in filled(second)._line.value


def test_a_picture_that_was_uploaded_is_still_that_of_the_job_taken_over(tmp_path, in_cell):
    in_cell("one")
    Image.new("RGB", (64, 64), "red").save(tmp_path / "mine.png")
    first = SweepForm(LONG, tmp_path / "store")
    first._files_came("image", [("mine.png", (tmp_path / "mine.png").read_bytes())])
    job = filled(first, strength="0.9").run()
    try:
        second = SweepForm(LONG, tmp_path / "store")
        assert second.fields["image"].value == "mine.png (uploaded)"
        assert second.value == first.value
    finally:
        end(job)


def test_a_cell_that_is_run_again_for_another_store_stops_its_own_job(tmp_path, in_cell):
    in_cell("one")
    job = SweepForm(LONG, tmp_path / "a").run()
    assert SweepForm(LONG, tmp_path / "b").job is None
    assert job.wait(60) and job.state == "stopped"


def test_a_form_that_waits_says_for_whom_and_offers_to_stop_it(tmp_path):
    other = Job(LONG, tmp_path / "other", progress=False)
    form = SweepForm(LONG, tmp_path / "mine")
    told, begun = form_module.threading.Event(), form_module.threading.Event()
    form._bar.other.layout.observe(lambda change: change.new is None and told.set(), "display")
    job = form.run()
    job.watch(lambda event: begun.set() if event.kind == "sketch" else None)
    try:
        assert told.wait(60) and "waits for the job in &#x27;other&#x27;" in form._line.value
        form._bar.other.click()
        assert begun.wait(60) and other.wait(60) and other.state == "stopped"
        assert form._bar.other.layout.display == "none" and form.running
    finally:
        end(other, job)


def test_an_embedded_model_is_loaded_early_where_the_form_is_shown(tmp_path, monkeypatch, results):
    early = []
    monkeypatch.setattr(fields_module, "load_early", early.append)
    form = filled(SweepForm(store=tmp_path))
    assert early == []  # nobody sees it
    form.forget_page(), ahead.submit(lambda: None).result()
    assert early == ["tiny-v1"]
    store = Store(results["path"].iloc[0].split("/images")[0])
    done = filled(SweepForm(results.iloc[0], store))
    done.forget_page(), ahead.submit(lambda: None).result()
    assert early == ["tiny-v1"]  # there is nothing to render


def test_a_form_tells_what_there_is_to_render_once_it_can_begin_but_errors_before(
    tmp_path, monkeypatch
):
    told, held = [], form_module.threading.Event()
    form = filled(SweepForm(Request(prompt="a cat"), tmp_path))
    form.forget_page(), ahead.submit(lambda: None).result()
    monkeypatch.setattr(fields_module, "load_early", lambda model: told.append(form.status))
    filled(form, seed="0-1")
    assert told == ["2 pictures …"] and form.status.startswith("2 pictures: 0 finished")
    monkeypatch.setattr(fields_module, "load_early", lambda model: held.wait(60))
    form.fields["seed"].value = "0-2"
    form.fields["seed"].value = "0-"
    assert list(form.errors) == ["seed"]  # while the model is being loaded
    held.set()


# Ctrl+Enter


def test_the_key_runs_with_what_the_field_holds_that_is_not_left_yet(tmp_path):
    form = filled(SweepForm(Request(prompt="a cat", num_inference_steps=2), tmp_path))
    begun = form_module.threading.Event()
    form._script.observe(lambda _: begun.set(), "starts")
    form._script._hear(None, {"kind": "run", "id": "1", "field": "seed", "text": "0-2"}, [])
    assert begun.wait(60) and len(form.results) == 3


def test_what_was_typed_while_python_was_busy_is_there_before_the_click_on_run(tmp_path):
    form = filled(SweepForm(Request(prompt="a cat"), tmp_path), seed="0-5")
    texts = [["seed", "0-1"], ["prompt", "a dog"], ["a field of later", "x"]]
    for _ in range(2):  # the page asks again where no answer came
        form._script._hear(None, {"kind": "typed", "id": "1", "texts": texts}, [])
        found = [(request.prompt, request.seed) for request in form.value]
        form.fields["seed"].value = "0-1, 7"
    assert found == [("a dog", 0), ("a dog", 1), ("a dog", 7)]


def test_the_key_leads_to_the_error_that_is_in_the_way(tmp_path):
    form, refused = filled(SweepForm(store=tmp_path)), form_module.threading.Event()
    form._script.observe(lambda _: refused.set(), "refusals")
    form._script._hear(None, {"kind": "run", "id": "1", "field": "seed", "text": "0-"}, [])
    assert refused.wait(60) and form.job is None and list(form.errors) == ["seed"]


# A run that was cut off


def begin_run(store, begun):
    """What another Python does until it is killed."""
    form = SweepForm(store=store)
    form.fields["num_inference_steps"].value, form.fields["seed"].value = "999", "0-29"
    form.wait()
    form.run()
    ahead.shutdown()  # what is filled in is written
    begun.set()
    time.sleep(600)


def test_a_run_whose_python_ended_is_said_to_be_cut_off_until_another_has_come_to_its_end(
    tmp_path, forks
):
    begun = forks.Event()
    other = forks.Process(target=begin_run, args=(tmp_path, begun), daemon=True)
    other.start()
    try:
        assert begun.wait(60)
        goes_on = filled(SweepForm(store=tmp_path))._note.value
    finally:
        other.kill()
        other.join()
    form = filled(SweepForm(store=tmp_path))
    assert "A run of 30 pictures that began here in another page" in goes_on
    assert "The last run here, of 30 pictures, was cut off" in form._note.value
    assert "Filled in as last time" in form._note.value and "30 pictures" in form.status
    filled(form, num_inference_steps="1", seed="0").run().wait(60)
    assert "cut off" not in filled(SweepForm(store=tmp_path))._note.value


@pytest.mark.parametrize("how", ["stop", "end"])
def test_a_run_that_was_stopped_by_hand_or_came_to_its_end_is_not_called_cut_off(tmp_path, how):
    form = SweepForm(LONG if how == "stop" else CIRCLE, tmp_path)
    form.wait(60)
    form.run()
    assert (tmp_path / "form-run.json").exists() or how == "end"
    form.stop() if how == "stop" else None
    form.job.wait(60)
    assert not (tmp_path / "form-run.json").exists()


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"machine": 1, "pid": "x", "pictures": 2}'])
def test_a_damaged_note_of_a_run_says_nothing(tmp_path, text):
    (tmp_path / "form-run.json").write_text(text)
    assert "run" not in filled(SweepForm(store=tmp_path))._note.value
