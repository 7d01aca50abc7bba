"""Pictures from elsewhere beside our own: one frame, one grid, one report, and requests of them."""

import json
import re
import warnings

import numpy as np
import pandas as pd
import pytest
from foreign import INFOTEXT, change, graph_of, make_recipe, save_comment, save_png
from PIL import Image

from sdlab import MODELS, image_grid, pair, read_pictures, run, write_report
from sdlab.recipe.request import Request
from sdlab.results.elsewhere import requests
from sdlab.results.frame import find_foreign, select_own
from sdlab.store.store import Store
from sdlab.widgets import Compare, Judge, SeedGrid

PROMPT = "a cat on a mat"
EVERY = [
    "v1-5-pruned-emaonly",
    "owlish",
    "juggernaut",
    "sd_xl_base_1.0",
    "dall-e-2",
    "tiny-v1",
    "tiny-v2",
]


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """A store with pictures of one prompt by two checkpoints."""
    store = Store(tmp_path_factory.mktemp("store"))
    for n, model in enumerate(("tiny-v1", "tiny-v2")):
        recipe = make_recipe(prompt=PROMPT, model=model, weights=f"{n}" * 32, height=64)
        pixels = np.full((64, 64, 3), 90 * n, np.uint8)
        store.save(recipe, Image.fromarray(pixels), {"device": "cpu", "batch_size": 1})
    return store


@pytest.fixture(scope="module")
def foreign(tmp_path_factory):
    """Pictures of one prompt by four programs and a service, read into one frame."""
    folder = tmp_path_factory.mktemp("downloads")
    save_png(folder / "a.png", parameters=INFOTEXT)
    comfy = change(change(graph_of(), "6", text=PROMPT), "4", ckpt_name="owlish.safetensors")
    save_png(folder / "b.png", prompt=comfy)
    fooocus = {
        "prompt": PROMPT,
        "full_prompt": [PROMPT],
        "seed": "4",
        "base_model": "juggernaut",
        "steps": 30,
        "sharpness": 2,
    }
    save_png(folder / "c.png", parameters=fooocus)
    swarm = {
        "sui_image_params": {
            "prompt": PROMPT,
            "seed": 5,
            "model": "sd_xl_base_1.0",
            "width": 64,
            "height": 96,
        }
    }
    save_comment(folder / "d.jpg", b"UNICODE\0" + json.dumps(swarm).encode("utf-16-be"))
    save_png(folder / "e.png")
    (folder / "pictures.csv").write_text(f"file,model,prompt\ne.png,dall-e-2,{PROMPT}\n")
    return read_pictures(folder, progress=False)


@pytest.fixture(scope="module")
def both(store, foreign):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # pandas, of columns that are empty
        return pd.concat([foreign, store.frame()], ignore_index=True)


def test_a_frame_of_programs_a_service_and_two_checkpoints_is_one_grid_row(both):
    assert both["model"].tolist() == EVERY and set(both["prompt"]) == {PROMPT}
    figure = image_grid(both, row="prompt", col=["model", "source"])
    label = figure.get_label()
    assert "Grid of 7 pictures" in label and "prompt (1 rows)" in label
    for text in ("dall-e-2 · told beside the file", "owlish · ComfyUI", "tiny-v1 · sdlab"):
        assert text in label
    assert "not made here: 5 of 7" in label
    assert "not made here" not in image_grid(select_own(both)).get_label()


def test_a_seed_grid_names_the_source_of_each_column(both):
    grid = SeedGrid(both, row="prompt", col=["model", "source"])
    page = str(grid.places)
    assert "tiny-v2 · sdlab" in page and "dall-e-2 · told beside the file" in page


SEED = "seed: 156680208700286, of which torch k…"  # 40 characters of it
OWL = f"owlish · not made here (ComfyUI); not comparable: {SEED}"
DALL_E = (
    "dall-e-2 · not made here (told beside the file); not comparable: seed: not said,"
    " num_inference_steps: not said, guidance_scale: not said, 1 more"
)


def test_each_column_says_where_it_came_from_and_what_is_not_comparable(both):
    label = image_grid(both, row="prompt", col="model").get_label()
    for said in (
        OWL,
        DALL_E,
        "juggernaut · not made here (Fooocus); not comparable: ",
        "sharpness: 2",
    ):
        assert said in label
    assert "v1-5-pruned-emaonly · not made here (A1111" in label
    assert "not comparable: noise made on the GPU" in label
    assert "tiny-v1; tiny-v2" in label and "tiny-v2 · not" not in label
    by_source = image_grid(both, row="prompt", col=["model", "source"]).get_label()
    assert "owlish · ComfyUI · not made here;" in by_source + ";"


def test_rows_say_it_where_columns_do_not_set_them_apart(both):
    pairs = both[both["model"].isin(["owlish", "tiny-v1"])].assign(colour="red")
    down = image_grid(pairs, row="model", col="colour").get_label()
    assert f"rows: model: {OWL}; tiny-v1. columns: colour: red." in down


def test_a_column_of_both_counts_those_that_were_not_made_here(both):
    some = both[both["model"].isin(["owlish", "dall-e-2", "tiny-v1"])]
    some = some.assign(side=["x", "y", "x"], turn=["a", "b", "b"])
    label = image_grid(some, row="turn", col="side").get_label()
    assert "x · 1 of 2 not made here (ComfyUI);" in label and "y · not made here (told" in label
    assert "rows: turn: a; b." in label


def test_a_seed_grid_says_it_at_the_same_side(both):
    places = SeedGrid(both, row="prompt", col="model").places
    assert places["rows"] == [PROMPT] and places["cols"][-2:] == ["tiny-v1", "tiny-v2"]
    assert OWL in places["cols"] and DALL_E in places["cols"]


def test_pictures_that_nothing_tells_apart_are_numbered_in_their_place(both):
    service = both[both["model"] == "dall-e-2"]
    thrice = pd.concat([both, service, service], ignore_index=True)
    label = image_grid(thrice, row="prompt", col=["model", "source"]).get_label()
    assert "Grid of 9 pictures" in label and "model · source · no. (9 columns)" in label
    for n in (1, 2, 3):
        assert f"dall-e-2 · told beside the file · {n} · not made here;" in label
    assert "tiny-v1 · sdlab; tiny-v2 · sdlab" in label
    down = image_grid(thrice, row="model").get_label()
    assert "columns: no.: 1; 2; 3" in down
    sizes = thrice.assign(height=[64] * 7 + [72, 80])  # as every file has one
    assert "Grid of 9 pictures" in image_grid(sizes, row="prompt", col="model").get_label()
    places = SeedGrid(sizes, row="prompt", col="model").places
    assert places["sliders"] == [] and places["col_name"] == "model · no."
    unlike = thrice.assign(seed=range(9))
    with pytest.raises(ValueError, match="3 images share .* differ in seed"):
        image_grid(unlike, row="prompt", col="model")


def test_rows_of_our_own_and_others_are_told_apart_by_their_key(both, foreign, store):
    assert find_foreign(both) == [True] * 5 + [False] * 2
    assert len(select_own(foreign)) == 0 and len(select_own(store.frame())) == 2


def test_a_report_says_who_made_what_and_makes_our_own_again_alone(both, tmp_path):
    path = write_report(
        tmp_path / "report.html", "Cats", both, image_grid(both, row="prompt", col="model")
    )
    page = path.read_text()
    words = re.sub(r"\s+", " ", re.sub("<[^>]*>", " ", page.partition("</head>")[2]))
    assert "5 images were not made here" in words and "1 ComfyUI" in words
    assert "): what is said of their making is a claim." in words and "nobody" not in words
    section = words.split("Pictures from elsewhere")[2]  # after that of the contents
    for text in (
        "dall-e-2",
        "told beside the file",
        "noise made on the GPU (1 of 1)",
        "sharpness: 2 (1 of 1)",
        "told beside the file 1 seed: not said (1 of 1) num_inference_steps: not said (1 of 1)",
    ):
        assert text in section
    recipes = json.loads(
        re.search(r'id="recipes"[^>]*>(.*?)</pre>', page, re.S)[1]
        .replace("&#34;", '"')
        .replace("&quot;", '"')
    )
    assert len(recipes["rows"]) == 2 and "dall-e-2" not in page[page.index('id="code"') :]


def test_a_report_of_nothing_but_others_pictures_has_no_code(foreign, tmp_path):
    page = write_report(tmp_path / "report.html", "Theirs", foreign).read_text()
    assert "None of these pictures was made here" in page and 'id="code"' not in page


def test_a_report_names_the_pictures_of_which_nothing_is_known_but_the_file(store, tmp_path):
    for n in range(2):
        save_png(tmp_path / f"bare {n}.png", size=(8 + n, 8))
    bare = read_pictures(tmp_path, progress=False)
    mixed = pd.concat([store.frame(), bare], ignore_index=True)
    assert find_foreign(mixed) == [False] * 2 + [True] * 2
    words = read_words(write_report(tmp_path / "report.html", "Bare", mixed))
    assert "4 images, of which 2 were made here by tiny-v1 and tiny-v2." in words
    assert "2 images were not made here (2 of unknown origin). The files of 2 pictures" in words
    silent = "The files of 2 pictures say nothing of their making"
    assert f"{silent}." in words and f"{silent}: bare 0.png and bare 1.png." in words
    assert "nothing is known" not in words  # a mark may be hidden in them
    alone = read_words(write_report(tmp_path / "alone.html", "Bare", bare))
    assert "2 images. " in alone and "None of these pictures was made here" in alone
    with pytest.raises(ValueError, match="has no model"):  # one of our own that lost its recipe
        lost = store.frame().assign(model=pd.array([None] * 2, "string"))
        write_report(tmp_path / "lost.html", "Lost", pd.concat([lost, bare], ignore_index=True))


def test_a_report_tells_machine_and_time_of_our_own_pictures_alone(store, tmp_path):
    theirs = Store(tmp_path / "theirs")
    run(Request(prompt=PROMPT, seed=8, num_inference_steps=1), theirs, progress=False)
    save_png(tmp_path / "bare.png")
    own, files = store.frame(), [theirs.frame()["path"][0], tmp_path / "bare.png"]
    found = read_pictures(files, progress=False)
    told = {"key": None, "seconds": 500.0, "batch_size": 77, "device": "an abacus"}
    found = found.assign(**told, created="1999-01-01T00:00:00")
    mixed = pd.concat([own.assign(seconds=1.0), found], ignore_index=True).astype(own.dtypes)
    words = read_words(write_report(tmp_path / "report.html", "Mixed", mixed))
    assert f"{len(own) + 2} images, of which {len(own)} were made here by" in words
    assert f"Rendering took {len(own)}.0 s" in words and "Beside the recipe" not in words
    machine = words.split("Versions and machine")[2].split("Pictures from elsewhere")[0]
    numbers = re.findall(r"[\w.]+", machine)  # a time has any digits in it
    assert "77" not in numbers and "abacus" not in machine and "1999-01-01" not in machine
    assert "rendered" in machine and "batch size" in machine
    licences = words.split("Models and their licences")[2].split("Versions and machine")[0]
    assert "None" not in licences and "tiny-v1" in licences
    bare = read_words(write_report(tmp_path / "bare.html", "Bare", found[1:]))
    assert (
        "No model is named." in bare and "abacus" not in bare.partition("Versions and machine")[2]
    )


def read_words(path):
    """Reads what people see of a page."""
    page = path.read_text("utf-8").partition("</head>")[2]
    return re.sub(r"\s+", " ", re.sub("<[^>]*>", " ", page))


def test_a_service_without_seeds_is_paired_by_its_prompt_and_that_is_said(both):
    pairing = pair(both, "model", "tiny-v1", "dall-e-2")
    assert pairing.pairs == ((5, 4),)
    told = {what: (one, other) for what, one, other in pairing.differences.itertuples(index=False)}
    assert told["seed"] == ("3", "—") and told["num_inference_steps"] == ("4", "—")


def test_several_pictures_of_a_service_are_paired_in_their_order(both):
    more = pd.concat(
        [both.iloc[[4, 5, 4, 5]].assign(path=list("abcd"), seed=[None, 3, None, 4])],
        ignore_index=True,
    )
    assert pair(more, "model", "tiny-v1", "dall-e-2").pairs == ((1, 0), (3, 2))
    other = more.assign(prompt=["x", "x", "y", "z"])
    assert pair(other, "model", "tiny-v1", "dall-e-2").pairs == ((1, 0),)


def test_rows_of_our_own_are_never_paired_by_order(both):
    own = both.iloc[[5, 6]].assign(seed=[3, None])
    with pytest.raises(ValueError, match="seed"):
        pair(own, "model")


def test_compare_and_judge_take_them_by_their_files(both):
    compare = Compare(both, by="model", left="tiny-v1", right="dall-e-2")
    assert len(compare.value) == 1
    judge = Judge(both, "A cat?", answers=["yes", "no"], rater="Ann", repeats=0)
    assert judge.total == 7


# What can be made again here


def test_requests_are_made_of_what_can_be_rendered_here_and_reasons_of_the_rest(foreign):
    found = requests(foreign, {"owlish": "tiny-v1", "v1-5-pruned-emaonly": "tiny-v2"})
    assert found.rows == [0, 1] and [each.model for each in found] == ["tiny-v2", "tiny-v1"]
    assert found[0].prompt == PROMPT and found[0].seed == 5 and found[0].num_inference_steps == 20
    assert isinstance(found[0], Request) and set(found.reasons) == {2, 3, 4}
    assert "unknown model 'juggernaut'" in found.reasons[2]
    assert found.reasons[4] == "it says no seed, so its noise is unknown"
    assert "2 requests of 5 rows" in repr(found) and "no seed" in repr(found)


def test_a_known_checkpoint_goes_by_the_name_of_its_authors_file(foreign):
    assert MODELS["sd-v1-5"].file.startswith("v1-5-pruned-emaonly")
    assert "sd-v1-5" in requests(foreign).reasons[0] or requests(foreign).rows == [0]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"error": "torn"}, "torn"),
        ({"prompt": None}, "no prompt"),
        ({"strength": 0.5}, "begins with a picture"),
        ({"prompt": "[a cat:a dog:0.5]", "prompt_syntax": "weights"}, "a change between steps"),
        ({"lora": "ink@0.5"}, "ink"),
        ({"height": 65}, "multiple of 8"),
        ({"num_inference_steps": 5000}, "outside 1 to 1000"),
        ({"clip_skip": 40}, "clip_skip=40"),
    ],
)
def test_every_row_that_cannot_be_rendered_has_its_reason(foreign, changes, reason):
    row = foreign.iloc[[1]].assign(model="tiny-v1", **changes)
    found = requests(row)
    assert len(found) == 0 and reason in found.reasons[1]


def test_pictures_of_our_own_become_the_requests_that_they_are(store):
    frame = read_pictures(store.frame()["path"], progress=False)
    assert frame["key"].tolist() == store.frame()["key"].tolist()
    found = requests(frame.drop(columns="weights"))
    assert [each.model for each in found] == ["tiny-v1", "tiny-v2"]
