"""`SweepForm` without a browser: fields, errors, code, the way back from requests, and its job."""

import itertools
import re
import threading
import warnings
from types import SimpleNamespace

import nbformat
import pytest
from nbclient import NotebookClient

from sdlab import Request, Store, probe, run, sweep
from sdlab.models.resolve import resolve
from sdlab.pictures import PICTURES
from sdlab.progress import Progress
from sdlab.recipe.request import FIELDS
from sdlab.render.job import _stop_all
from sdlab.widgets import SweepForm
from sdlab.widgets.sweep_form import form_fields
from sdlab.widgets.sweep_form.field_text import AXES, read_line, write_line
from sdlab.widgets.sweep_form.fields import FOLDS
from sdlab.widgets.sweep_form.form_fields import ahead
from sdlab.widgets.sweep_form.jobs import describe_end
from sdlab.widgets.sweep_form.outlook import Outlook

pytestmark = pytest.mark.filterwarnings(
    "ignore:.*the weights are ignored"
)  # of the sweeps that the forms are compared with
CIRCLE = Request(prompt="a {red|blue} circle", num_inference_steps=2)


@pytest.fixture
def form(tmp_path):
    """A form of four cells."""
    return filled(SweepForm(sweep(CIRCLE, seed=range(2)), tmp_path / "store"))


def filled(form, **texts):
    """The form with these texts, once it has looked up what they mean."""
    for name, text in texts.items():
        form.fields[name].value = text
    assert form.wait(120)
    return form


def ask(form, kind):
    """What the page does: a question, of which the answer is kept from the line."""
    form._script._hear(None, {"kind": kind, "id": "1"}, [])


def recipes(requests):
    """Requests with their labels, in no order."""
    return sorted((repr(request), repr(sorted(request.labels.items()))) for request in requests)


def executed(code, monkeypatch):
    """(`plan`, the arguments of `run`) of a program."""
    given = []
    monkeypatch.setattr("sdlab.render.job.run", lambda *arguments: given.append(arguments))
    monkeypatch.setattr(
        "sdlab.widgets.seed_grid.grid.SeedGrid", lambda *arguments, **sides: given.append(sides)
    )
    names = {}
    exec(code, names)
    assert given[0][0] is names["plan"]
    return names["plan"], given


# What is filled in


def test_an_empty_form_is_one_cell_of_the_default_request(tmp_path):
    form = filled(SweepForm(store=tmp_path))
    assert form.value == [Request()] and form.errors == {} and form.status.startswith("1 picture")
    assert list(form.fields)[:4] == ["prompt", "negative_prompt", "replace", "model"]
    assert list(FOLDS) == ["", "Input pictures", "More settings"]
    assert list(form.fields) == list(itertools.chain(*FOLDS.values()))
    assert set(form.fields) == {*FIELDS, "replace"} - {"weights"} == {*AXES, "replace"}
    uploads = [name for name, field in form._fields.items() if hasattr(field, "upload")]
    assert uploads == list(PICTURES)


def test_the_value_is_the_product_of_what_the_fields_say(form):
    filled(
        form,
        prompt="a {red|blue} cat\n\na dog",
        negative_prompt='""\nblurry',
        guidance_scale="1-7 (+3)",
        seed="0, 5",
    )
    expected = sweep(
        Request(num_inference_steps=2),
        prompt=["a {red|blue} cat", "a dog"],
        negative_prompt=["", "blurry"],
        guidance_scale=[1, 4, 7],
        seed=[0, 5],
    )
    assert recipes(form.value) == recipes(expected)
    assert form.status.startswith(f"{len(expected)} pictures: 0 finished")


def test_native_stands_beside_other_values_and_none_beside_marks(form):
    filled(
        form,
        guidance_scale="native, 1-2",
        height="256",
        width="256",
        watermark="none, sd-v1",
        scheduler=(None, "DDIMScheduler"),
    )
    found = {(r.guidance_scale, r.watermark, r.scheduler) for r in form.value}
    assert found == set(
        itertools.product([None, 1.0, 2.0], [None, "sd-v1"], [None, "DDIMScheduler"])
    )


def test_a_line_holds_any_prompt():
    for prompt in (
        *("", " a", "a\nb", '""', '"a', '"a b"', '"\\"\\""', "\\{", "a\tb ", '" a"', "a\u2028b"),
        "a\rb",
    ):
        line = write_line(prompt)
        assert read_line(line) == prompt and line.strip() and not re.search(r"[\r\n]", line)


# Errors


@pytest.mark.parametrize(
    "name, text, says",
    [
        ("seed", "0-", "neither a number nor a range"),
        ("seed", "-2", "outside 0"),
        ("seed", "0-9999999", "more than"),
        ("guidance_scale", "1-5 (2)", "a step needs its sign"),
        ("num_inference_steps", "0", "outside 1 to 1000"),
        ("height", "63-65", "multiple of 8"),
        ("width", "8.5", "whole number"),
        ("prompt", "a {cat", "brace without its partner"),
        ("negative_prompt", "cat}", "brace"),
        ("replace", "dog, cat", "contains 'dog'"),
        ("replace", "circle", "at least one text"),
        ("replace", "red, {", "brace"),
        ("model", (), "at least one model"),
        ("watermark", "sd-v1", "too small for a mark"),
        ("eta", "2", "outside 0.0 to 1.0"),
        ("clip_skip", "9", "layers"),
        ("prompt", "cat " * 90, "tokens"),
        ("negative_prompt", "dog " * 90, "tokens"),
        ("num_inference_steps", "native, x", "neither"),
    ],
)
def test_bad_input_is_explained_at_its_field(form, name, text, says):
    filled(form, **{name: text})
    assert list(form.errors) == [name] and says in form.errors[name]
    assert 'role="alert"' in form._fields[name].message and form._run.disabled
    assert all(not field.message for other, field in form._fields.items() if other != name)
    assert form.fields[name].value == text


@pytest.mark.parametrize("text", ["-3,5", "1001"])
def test_a_fields_message_has_a_blank_between_its_name_and_the_value(form, text):
    filled(form, num_inference_steps=text)
    value = text.split(",")[0]
    assert f"num_inference_steps {value} is outside" in form._fields["num_inference_steps"].message


def test_several_errors_stand_at_their_fields_and_go_with_their_reasons(form):
    filled(form, seed="x", height="63", prompt="}")
    assert (
        set(form.errors) == {"seed", "height", "prompt"}
        and "prompt, seed and height" in form._line.value
    )
    with pytest.raises(ValueError, match="seed: .*'x'"):
        form.value
    filled(form, seed="0", height="", prompt="a cat")
    assert (
        form.errors == {}
        and not form._run.disabled
        and form.value == [Request(prompt="a cat", num_inference_steps=2)]
    )


def test_errors_of_several_fields_together_are_told_beside_run(form):
    filled(form, seed="0-999999")
    assert "2,000,000 pictures are more than 1,000,000" in form.errors[""] and form._run.disabled
    assert "2,000,000" in form._problem.value and 'role="alert"' in form._problem.value


def test_what_a_scheduler_cannot_take_is_told_at_the_field_and_unfolds_it(form):
    filled(form, scheduler=("LCMScheduler",), num_inference_steps="60")
    assert "at most 50" in form.errors["num_inference_steps"]
    filled(form, scheduler=("PNDMScheduler",), num_inference_steps="2", eta="0.5")
    assert (
        "DDIMScheduler and TCDScheduler only" in form.errors["eta"]
        and form._folds[1].inside.layout.display != "none"
    )


@pytest.mark.parametrize("name", ["tiny-cure", "tiny-binding"])
def test_a_probe_is_no_form_whose_arms_would_be_lost(name, tmp_path):
    with pytest.raises(ValueError, match=r"labelled with \(probe\).* run it as it is"):
        SweepForm(probe(name), tmp_path)


def test_a_model_that_is_not_there_is_told_at_the_model(tmp_path):
    form = filled(SweepForm(store=tmp_path / "store", models=str(tmp_path / "nothing")))
    here = (
        "tiny-v1",
        "tiny-v2",
        "tiny-depth",
        "tiny-x4",
        "tiny-signs",
        "tiny-letters",
    )  # other rows are not on this machine
    assert form.fields["model"].options == (*here, str(tmp_path / "nothing"))
    filled(form, model=(str(tmp_path / "nothing"),))
    assert "unknown model" in form.errors["model"]
    form._fields["model"].fill(("v1-5-pruned-emaonly",))  # as other programs name it
    assert form.wait(60)
    first, *more = form._fields["model"].message.split("<details>")
    assert "the file of &#x27;sd-v1-5&#x27;" in first and "take tiny-v1" in first
    assert len(first) < 350 and "hf download" in more[0] and "hf download" in form.errors["model"]


def test_ignored_weights_are_a_note_and_no_error(form):
    filled(form, prompt="a {0.5::red|3::blue} circle")
    assert (
        form.errors == {} and "weights" in form._fields["prompt"].message and len(form.value) == 4
    )


def test_unknown_keywords_and_impossible_arguments_are_errors(tmp_path):
    with pytest.raises(TypeError, match="rows"):
        SweepForm(store=tmp_path, rows="seed")
    with pytest.raises(FileNotFoundError, match="there is no file 'a cat'"):
        SweepForm("a cat", tmp_path)
    for plan in (3, [], [Request()], list(sweep(CIRCLE))):
        with pytest.raises(TypeError, match=r"what sweep\(\.\.\.\) returns.*not with a"):
            SweepForm(plan, tmp_path)
    with pytest.raises(ValueError, match="a form replaces one text, and this sweep 2"):
        SweepForm(sweep(CIRCLE, replace={"circle": "cat", "a": "the"}), tmp_path)


@pytest.mark.parametrize(
    "given, error, says",
    [
        ({"store": 5}, TypeError, "store=5: give a Store"),
        ({"models": 3}, TypeError, "models=3: give a name"),
        ({"models": ["a", None]}, TypeError, "models="),
        ({"row": 7}, TypeError, "row=7"),
        ({"row": "nothing"}, ValueError, "row='nothing' is neither .*: model"),
        (
            {"plan": sweep(CIRCLE), "col": ["seed", "blue"]},
            ValueError,
            r"col='blue' is neither a choice in these prompts \(red\|blue\)",
        ),
    ],
)
def test_what_is_no_store_model_or_axis_is_refused_at_once(tmp_path, given, error, says):
    with pytest.raises(error, match=says):
        SweepForm(**{"store": tmp_path} | given)


def test_what_is_typed_while_rows_and_columns_are_offered_is_read(form, meanwhile):
    prompt = form.fields["prompt"]
    typing = meanwhile(form_fields, "offer_names", setattr, prompt, "value", "a green dog")
    form.fields["seed"].value = "1-3"
    assert form.wait(120)
    typing.join()
    assert form.wait(120)
    assert {request.prompt for request in form.value} == {"a green dog"} and len(form.value) == 3


def test_who_hears_that_a_job_runs_may_wait_for_who_waits_for_the_form(form):
    form.fields["num_inference_steps"].value = "1"
    assert form.wait(120)

    def hear(change):
        other = threading.Thread(target=form._read)
        other.start()
        other.join(60)
        heard.append(not other.is_alive())

    heard = []
    form.observe(hear, "running")
    form.run().wait(120)
    assert heard[0]


def test_only_the_latest_change_is_looked_up(form, monkeypatch):
    asked, held = [], threading.Event()
    monkeypatch.setattr(
        "sdlab.widgets.sweep_form.form_fields.look_ahead",
        lambda reading, store: asked.append(reading.cells) or Outlook(),
    )
    ahead.submit(held.wait, 60)
    for seeds in ("0", "0-1", "0-2"):
        form.fields["seed"].value = seeds
    assert not form.wait(0)
    held.set()
    assert form.wait(60) and asked == [6]


# Code

NASTY = [
    "a cat",
    "a {red|blue} cat",
    "",
    'say "hi"',
    "it's",
    "a\\b \\{x\\}",
    "{colour=red|blue|} \\| x",
    "{1-2$$ and $$a|b|c}",
    "é ☃ \u2028 x",
    "tab\there",
    " blanks ",
    "two\nlines",
    "'\"",
    '"""',
    "{2::a|b} {a|b}",
    "a {b|{c|d}} cat",
    "# no",
    "100% %s {{}}",
]


@pytest.mark.parametrize("n", range(9))
def test_executing_the_code_gives_the_value(n, form, monkeypatch):
    def pick(values, k):
        return values[(7 * n + 3 * k) % len(values)]

    prompts = map(write_line, NASTY[2 * n : 2 * n + 2])
    filled(
        form,
        prompt="\n".join(prompts),
        negative_prompt="\n".join(map(write_line, [NASTY[-n % len(NASTY)]] * (n % 2))),
        seed=pick(["0-3", "", "5", "9-1 (-4)", "1, 1"], 1),
        guidance_scale=pick(["", "4", "1-7 (+3)", "0-1 [5]", "native, 2.5"], 2),
        num_inference_steps=pick(["", "2", "2-3"], 3),
        scheduler=pick([(), ("DDIMScheduler",), (None, "PNDMScheduler")], n),
        height=pick(["", "64", "64-128 (+64)"], n),
        eta=pick(["", "0"], n),
    )
    with warnings.catch_warnings(action="ignore"):
        plan, [(_, store), *_] = executed(form.code, monkeypatch)
    assert (
        recipes(plan) == recipes(form.value)
        and plan == form.value
        and store == str(form.store.root)
    )


@pytest.mark.parametrize(
    "replace",
    ["hamster, cat", "hamster,\"a, b\", 'c'", "a {red|blue}, big \\ one", 'hamster, "{x|y} ""q"""'],
)
def test_the_code_replaces_as_the_form_does(replace, form, monkeypatch):
    filled(
        form,
        prompt="a {red|blue} hamster\na {red|blue} hamster too",
        negative_prompt="no hamster",
        replace=replace,
    )
    assert form.errors == {}
    assert recipes(executed(form.code, monkeypatch)[0]) == recipes(form.value)


def test_the_code_is_what_a_person_would_write(tmp_path):
    form = SweepForm(Request(prompt="a hamster"), tmp_path / "store")
    form.fields["guidance_scale"].value, form.fields["seed"].value = "1-7 (+3)", "0-3"
    assert filled(form).code == (
        "from sdlab import Request, run, sweep\nfrom sdlab.widgets import SeedGrid\n\n"
        'plan = sweep(Request(prompt="a hamster"), guidance_scale="1-7 (+3)", seed="0-3")\n'
        f'results = run(plan, "{form.store.root}")\n'
        'SeedGrid(results, row="guidance_scale", col="seed")\n'
    )


def test_the_code_names_the_rows_and_columns_that_were_chosen(form, monkeypatch):
    assert [value for _, value in form._row.options] == ["", "red|blue", "prompt", "seed"]
    form._row.value, form._col.value = "seed", "red|blue"
    assert executed(form.code, monkeypatch)[1][1] == {"row": "seed", "col": "red|blue"}


def test_while_a_field_has_an_error_the_code_says_so(form):
    filled(form, seed="0-")
    assert form.code.startswith("# to be mended: seed: ")
    exec(form.code, {})


# The way back from a sweep

PLANS = {
    "one request": Request(prompt="a {cat", seed=3),
    "ranges": sweep(CIRCLE, guidance_scale="1-7 (+3)", seed=range(3)),
    "choices": sweep(
        Request(),
        prompt=["a {x|{y|z}} {colour=red|blue}", "{2$$p|q|r} z"],
        negative_prompt=["", "bad"],
    ),
    "replace": sweep(
        Request(prompt="a hamster, {red|blue}", negative_prompt="no hamster"),
        replace='hamster, cat, "big, dog"',
    ),
    "nasty prompts": sweep(
        Request(),
        prompt=[" blank", "a\nb", '""', 'q"uo', "\\{x\\|y\\}", "C:\\n"],
        seed="0-999 (+7)",
    ),
    "native among others": sweep(
        Request(prompt="x"),
        guidance_scale=[None, 0.1, 3],
        scheduler=["DDIM", None],
        height=[64, None, 128],
    ),
}


@pytest.mark.parametrize("name", PLANS)
def test_a_form_of_a_sweep_has_its_requests_in_its_order(name, tmp_path):
    plan = [PLANS[name]] if isinstance(PLANS[name], Request) else PLANS[name]
    form = SweepForm(PLANS[name], tmp_path)
    assert form.value == plan and recipes(form.value) == recipes(plan)
    assert SweepForm(form.value, tmp_path).value == plan


def test_a_recipe_begins_a_form_of_the_same_cells_if_its_weights_are_here(tmp_path):
    plan = sweep(resolve(CIRCLE.but(prompt="a circle")), seed=range(2))
    form = SweepForm(plan, tmp_path)
    assert [resolve(r).key for r in form.value] == [resolve(r).key for r in plan]
    with pytest.raises(ValueError, match="made for 0000"):
        SweepForm(CIRCLE.but(weights="0000"), tmp_path)


def test_text_that_is_a_range_comes_back_as_one(tmp_path):
    plan = sweep(Request(), guidance_scale="1-7 (+3)", seed=range(8), num_inference_steps=[3, 1, 2])
    form = SweepForm(plan, tmp_path)
    names = ("guidance_scale", "seed", "num_inference_steps")
    assert [form.fields[name].value for name in names] == ["1-7 (+3)", "0-7", "3, 1, 2"]


# The job


def test_making_and_showing_a_form_starts_no_job_and_writes_nothing(tmp_path):
    form = filled(SweepForm(PLANS["ranges"], tmp_path / "store"))
    form._repr_mimebundle_(), form.static()
    assert form.job is None and form.grid is None and not (tmp_path / "store").exists()
    with pytest.raises(ValueError, match=r"form.run\(\)"):
        form.results


def test_run_renders_what_the_form_says_and_shows_it(form):
    job = form.run()
    results = form.results
    assert (
        list(results["key"]) == [resolve(request).key for request in form.value]
        and results["path"].notna().all()
    )
    assert form.job is job and form.grid.job is job and form._place.children[-1] is form.grid
    assert form.wait(60) and form.status == "4 pictures, all finished: nothing to render"
    assert not form.running and not form._run.disabled and form._stop.disabled
    assert form.static().count("<img") == 4


def test_without_a_page_a_notebook_waits_for_the_results_and_keeps_the_picture(
    tmp_path, forked_kernels
):
    nb = nbformat.v4.new_notebook(
        cells=[
            nbformat.v4.new_code_cell(code)
            for code in [
                "from sdlab import Request, sweep\nfrom sdlab.widgets import SweepForm",
                "form = SweepForm(sweep(Request(prompt='a cat', num_inference_steps=1), seed='0-2'), 'store')\nform",
                "form.run()\nlen(form.results)",
            ]
        ]
    )
    NotebookClient(
        nb,
        timeout=120,
        kernel_name="python3",
        resources={"metadata": {"path": tmp_path}},
        store_widget_state=False,
    ).execute()
    still = nb.cells[1].outputs[1]["data"]["text/html"]
    assert (
        nb.cells[2].outputs[0]["data"]["text/plain"] == "3"
        and still.count("<img") == 3
        and "3 of 3 pictures finished" in still
    )


def test_a_native_value_written_out_is_the_same_recipe_and_rendered_once(form):
    own = resolve(Request()).num_inference_steps
    filled(form, num_inference_steps=f"2, {own}, native", seed="0")
    assert f"native is {own}: counted once" in form._fields[
        "num_inference_steps"
    ].message and form.status.startswith("4 pictures")
    form._row.value = "num_inference_steps"
    assert 'SeedGrid(results.drop_duplicates("key"), row="num_inference_steps")' in form.code
    form.run()
    assert [request.key for request in form.job.requests] == list(
        dict.fromkeys(resolve(request).key for request in form.value)
    )
    assert list(form.results["num_inference_steps"]) == [2, 2, own, own]


def test_two_prompts_that_read_alike_are_one_cell(form):
    filled(form, prompt="a red cat\na {red|blue} cat", seed="0")
    assert "1 picture repeats" in form._fields["prompt"].message and form.status.startswith(
        "2 pictures"
    )
    form.run()
    assert list(form.results["prompt"]) == ["a red cat", "a blue cat"]


def test_looking_again_finds_what_another_cell_has_rendered(form):
    assert form.status.startswith("4 pictures: 0 finished")
    run(form.value, form.store, progress=False)
    ask(form, "look")
    assert form.wait(60) and form.status == "4 pictures, all finished: nothing to render"
    assert form.status in form._line.value and not form._run.disabled


def test_while_a_job_runs_its_count_stands_beside_run(form):
    filled(form, num_inference_steps="500")
    job = form.run()
    ask(form, "look")
    assert form.wait(60) and form.running
    assert "0 of 4 pictures finished" in form._line.value and 'role="timer"' in form._line.value
    assert "0 of 4 pictures finished" in repr(form)
    form.stop()
    assert job.wait(60) and form.wait(60) and "4 pictures: " in form._line.value


@pytest.mark.parametrize("how", ["Stop", "interrupt"])
def test_a_job_that_was_stopped_is_said_to_be_until_something_changes(form, how):
    filled(form, num_inference_steps="500")
    job = form.run()
    form._stop.click() if how == "Stop" else _stop_all()
    assert job.wait(60) and form.wait(60)
    line = form._line.value
    assert (
        "0 of 4 pictures finished (stopped); Run goes on from there, and begins those anew" in line
    )
    assert "4 pictures: 0 finished, 4 to render" in line
    assert "stopped" not in filled(form, seed="0-2")._line.value


def test_a_stopped_job_of_another_plan_is_not_said_to_go_on(form):
    filled(form, num_inference_steps="500")
    job = form.run()
    filled(form, seed="0")
    form.stop()
    assert job.wait(60) and form.wait(60)
    assert "(stopped); what is filled in now is another plan" in form._line.value
    assert "goes on" not in form._line.value


def test_cells_that_failed_are_counted_at_the_end():
    progress = Progress(4, 4)
    progress.rendered, progress.failed, progress.state = 3, 1, "done"
    job = SimpleNamespace(state="done", progress=progress)
    assert describe_end(job, True) == "3 of 4 pictures finished, 1 failed"
    progress.rendered, progress.failed = 4, 0
    assert describe_end(job, True) == ""  # the plan says it


def test_the_bar_and_the_words_count_the_same_pictures_and_tell_those_of_before_apart():
    progress = Progress(12, 8)
    assert str(progress) == "4 of 12 pictures finished (4 before this run), loading"
    assert progress.fraction == 4 / 12 and progress.seconds_left is None
    progress.count_step(4, 1, 2)
    assert progress.fraction == 6 / 12  # of what is at work, too
    progress.count_computed(4)
    for _ in range(4):
        progress.count_saved()
    assert str(progress).startswith("8 of 12 pictures finished (4 before this run), ")
    assert progress.fraction == 8 / 12
    progress._begun -= 10  # half of what is to be made took so long
    assert progress.seconds_left == pytest.approx(10, abs=1)
    done = Progress(3, 0)
    done.state = "done"
    assert str(done) == "3 of 3 pictures finished (all before this run)" and done.fraction == 1


def test_stop_ends_the_job_and_run_goes_on_from_there(tmp_path):
    form = filled(SweepForm(sweep(Request(num_inference_steps=200), seed=range(40)), tmp_path))
    job = form.run()
    assert form._run.disabled and not form._stop.disabled
    with pytest.raises(ValueError, match="is running"):
        form.run()
    form.fields["num_inference_steps"].value = "2"  # fields stay open while a job runs
    form._stop.click()
    assert job.wait(60) and job.state == "stopped" and form.wait(60)
    form.run()
    first = form.grid
    assert len(form.results) == 40 and form.job.state == "done"
    form.fields["seed"].value = "0-40"
    again = form.run()
    assert (
        again.progress.total - again.progress.todo == 40
        and len(form.results) == 41
        and form.grid is not first
    )


def test_a_click_on_run_does_what_run_does_and_tells_errors_in_the_form(form, monkeypatch):
    started, told = threading.Event(), threading.Event()
    form.observe(lambda change: started.set() if change.new else None, "running")
    form._run.click()
    assert started.wait(60) and len(form.results) == 4
    filled(form)
    monkeypatch.setattr(
        "sdlab.widgets.sweep_form.form.Job",
        lambda *_, **__: (_ for _ in ()).throw(OSError("the disk is full")),
    )
    form._problem.observe(lambda change: told.set(), "value")
    form._run.click()
    assert told.wait(60) and "the disk is full" in form._problem.value and form.errors == {}
    form.fields["seed"].value = "0-2"  # any change takes the message away
    assert filled(form)._problem.value == "" and not form._run.disabled


def test_a_job_that_fails_is_told_in_the_form(form, monkeypatch):
    def broken(self, *_, **__):
        raise OSError("no space left")

    monkeypatch.setattr(Store, "save", broken)
    form.run().wait(60)
    filled(form)
    assert "no space left" in form._problem.value and not form._run.disabled
    monkeypatch.undo()
    form.run()
    assert form.results["path"].notna().all() and filled(form)._problem.value == ""


def test_rows_and_columns_given_are_those_of_the_grid(tmp_path):
    form = filled(SweepForm(sweep(CIRCLE, seed=range(2)), tmp_path, row="seed", col="red|blue"))
    form.run()
    assert form.grid.places["row_name"] == "seed" and form.grid.places["col_name"] == "red|blue"
    form.results


def test_the_static_picture_tells_the_settings(form):
    filled(form, guidance_scale="1-7 (+3)", negative_prompt="<b>")
    text = form.static()
    assert "1-7 (+3)" in text and "&lt;b&gt;" in text and form.status in text and "<b>" not in text
