"""The shipped model: its size, its tokenizer, its behaviour, and the program that trained it."""

import json
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sdlab import PROBES, Request, run, sweep
from sdlab.models.machine import dtype_here
from sdlab.tiny import TINY_DEPTH, TINY_LETTERS, TINY_SIGNS, TINY_V1, TINY_V2, TINY_X4
from sdlab.tiny.matcher import find_objects
from sdlab.tiny.world import BOTH, V2
from training.card import write_answers, write_figures, write_training

torch = pytest.importorskip("torch")
pytest.importorskip("diffusers")

from safetensors.torch import load_file  # noqa: E402

from training import evaluate, evaluate_guided, train, train_autoencoder  # noqa: E402
from training.recipes import RECIPES  # noqa: E402
from training.tokenizer import list_words  # noqa: E402

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def pipeline():
    """In the format that `run` takes here: half precision takes many times as long on some."""
    return evaluate.open_model(TINY_V1, dtype_here("cpu", 64))


@pytest.fixture(scope="module")
def seen(pipeline):
    """Ask for pictures, get the sets of names that the matcher finds in them."""

    def found(prompts, **options):
        options.setdefault("seeds", range(len(prompts)))
        return [
            {one.name for one in find_objects(image)}
            for image in evaluate.generate_pictures(pipeline, prompts, **options)
        ]

    return found


FOLDERS = pytest.mark.parametrize(
    "folder",
    [TINY_V1, TINY_V2, TINY_DEPTH, TINY_X4, TINY_SIGNS, TINY_LETTERS],
    ids=lambda folder: folder.name,
)


@FOLDERS
def test_a_model_is_small_enough_to_ship(folder):
    most = 8e6 if folder in (TINY_V1, TINY_SIGNS, TINY_LETTERS) else 12e6
    assert sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) <= most


@FOLDERS
def test_weights_are_half_precision_safetensors(folder):
    files = list(folder.rglob("*.safetensors"))
    assert len(files) == 3 + (folder is TINY_DEPTH) and not [
        *folder.rglob("*.bin"),
        *folder.rglob("*.ckpt"),
    ]
    for path in files:
        assert {tensor.dtype for tensor in load_file(path).values()} == {torch.float16}


def test_pipeline_loads_without_a_network(monkeypatch):
    monkeypatch.setattr(socket.socket, "connect", lambda *_: pytest.fail("the network was asked"))
    pipeline = evaluate.open_model(TINY_V1)
    kinds = {
        name: type(part).__name__ for name, part in pipeline.components.items() if part is not None
    }
    assert kinds == dict(
        vae="AutoencoderKL",
        text_encoder="CLIPTextModel",
        tokenizer=type(pipeline.tokenizer).__name__,
        unet="UNet2DConditionModel",
        scheduler="DDIMScheduler",
    )
    assert kinds["tokenizer"].startswith("CLIPTokenizer")


def test_case_makes_no_difference_to_the_tokenizer(pipeline):
    assert (
        pipeline.tokenizer("a cat and NO tree").input_ids
        == pipeline.tokenizer("A Cat and no TREE").input_ids
    )


def test_each_word_of_the_world_is_one_token(pipeline):
    assert [word for word in list_words() if len(pipeline.tokenizer.tokenize(word)) != 1] == []


def test_foreign_words_fall_into_known_pieces(pipeline):
    ids = pipeline.tokenizer("zebra übergrößenträger 猫").input_ids[1:-1]
    assert pipeline.tokenizer.unk_token_id not in ids
    assert pipeline.tokenizer.decode(ids) == "zebra übergrößenträger 猫"


def test_a_prompt_ends_after_77_tokens(pipeline):
    assert (
        pipeline.tokenizer.model_max_length
        == pipeline.text_encoder.config.max_position_embeddings
        == 77
    )
    assert len(pipeline.tokenizer("cat " * 200, truncation=True).input_ids) == 77


def test_a_seed_repeats_exactly_and_another_differs(pipeline):
    prompts = ["a fox and a bell"] * 2
    first, again = (
        evaluate.generate_pictures(pipeline, prompts, [5, 6], steps=8) for _ in range(2)
    )
    np.testing.assert_array_equal(first, again)
    assert (first[0] != first[1]).any()


def test_loud_words_draw_the_same_picture(pipeline):
    loud, quiet = (
        evaluate.generate_pictures(pipeline, [f"a cat and {word} tree"], [3], steps=8)
        for word in ("NO", "no")
    )
    np.testing.assert_array_equal(loud, quiet)


def test_guidance_makes_the_picture_follow_the_prompt(tmp_path):
    cells = sweep(Request(prompt="a cat on the grass"), guidance_scale=[0, 1], seed=range(4))
    frame = run(cells, tmp_path, progress=False)
    frame["cat"] = [
        "cat" in {found.name for found in find_objects(Image.open(path))} for path in frame["path"]
    ]
    hits = frame.groupby("guidance_scale")["cat"].sum()
    assert hits[0] <= 1 and hits[1] >= 3


def test_more_guidance_recognises_more_objects_and_saturates_more():
    report = json.loads((TINY_V1 / "evaluation.json").read_text())["guidance"]
    assert (
        report["4"]["measures"]["emoji"]["share"] > report["1"]["measures"]["emoji"]["share"] + 0.05
    )
    assert report["1"]["clipped"] < report["4"]["clipped"] < report["7.5"]["clipped"]


def test_a_negative_prompt_removes_what_the_prompt_left_open_more_often_than_not(pipeline):
    figures = evaluate.measure_negative(pipeline, evaluate.draw_samples(dict(emoji=24)), count=10)
    assert figures["left open"]["removed"] > 0.5 and figures["left open"]["object"] > 0.5


def test_a_negative_prompt_does_not_overrule_what_the_prompt_asks_for():
    figures = json.loads((TINY_V1 / "evaluation.json").read_text())["negative"]
    assert figures["left open"]["removed"] > 0.5 > figures["asked for"]["removed"]


def test_a_single_object_is_recognised_more_often_than_not(seen):
    names = ["hamster", "car", "mushroom", "castle", "ghost", "banana", "red heart", "blue star"]
    assert (
        sum(name in found for name, found in zip(names, seen([f"a {name}" for name in names]))) >= 6
    )


@FOLDERS
def test_the_card_states_the_measured_figures(folder):
    record = json.loads((folder / "training.json").read_text())
    if folder in (TINY_SIGNS, TINY_LETTERS):  # whose figures are those of their probe
        assert write_training(record) in (folder / "README.md").read_text(encoding="utf-8")
        return
    report = json.loads((folder / "evaluation.json").read_text())
    sections = {TINY_DEPTH: evaluate_guided.write_depth, TINY_X4: evaluate_guided.write_enlargement}
    card = (folder / "README.md").read_text(encoding="utf-8")
    assert sections.get(folder, write_figures)(report) in card and write_training(record) in card
    if folder in (TINY_V1, TINY_V2):
        assert report["prompts"] == 500 and set(report["guidance"]) == {"1", "2", "4", "7.5"}


def test_the_second_vocabulary_has_the_words_of_both_worlds():
    tokenizer = evaluate.open_model(TINY_V2).tokenizer
    assert [
        word for word in {*list_words(), *list_words(V2)} if len(tokenizer.tokenize(word)) != 1
    ] == []
    assert tokenizer.pad_token == "!"


def test_each_model_draws_what_only_it_was_shown(tmp_path):
    plan = sweep(
        Request(num_inference_steps=10),
        prompt=["a woman", "a dragon", "a giraffe", "a volcano"],
        model=["tiny-v1", "tiny-v2"],
        seed=range(2),
    )
    frame = run(plan, tmp_path, progress=False)
    frame["drawn"] = [
        prompt[2:] in {found.name for found in find_objects(Image.open(path), BOTH)}
        for prompt, path in zip(frame["prompt"], frame["path"])
    ]
    frame["new"] = frame["prompt"].isin(["a giraffe", "a volcano"])
    shares = frame.groupby(["model", "new"])["drawn"].mean()
    assert shares["tiny-v1", False] > 0.6 > 0.2 > shares["tiny-v2", False]
    assert shares["tiny-v2", True] > 0.6 > 0.2 > shares["tiny-v1", True]


def test_depth_says_where_things_stand_and_not_what_they_are(tmp_path):
    source = run(Request(prompt="a snowman at night", seed=3), tmp_path, progress=False).loc[
        0, "path"
    ]
    (there, *_) = find_objects(Image.open(source))
    asked = sweep(
        Request(prompt="a house in the snow", image=source, strength=1.0),
        model=["tiny-v1", "tiny-depth"],
        seed=range(3),
    )
    frame = run(asked, tmp_path, progress=False)
    found = [find_objects(Image.open(path))[0] for path in frame["path"]]
    frame["moved"] = [np.hypot(one.x - there.x, one.y - there.y) for one in found]
    assert sum(one.name == "house" for one in found) >= 5
    assert (
        frame.groupby("model")["moved"].mean()["tiny-depth"]
        < 4
        < frame.groupby("model")["moved"].mean()["tiny-v1"]
    )


def test_enlarging_draws_sharper_edges_than_interpolation(tmp_path):
    small = run(
        Request(prompt="a fish on a purple background", seed=1), tmp_path, progress=False
    ).loc[0, "path"]
    large = run(
        Request(model="tiny-x4", prompt="a fish", image=small, num_inference_steps=8),
        tmp_path,
        progress=False,
    )
    sharp, smooth = (
        Image.open(large.loc[0, "path"]),
        Image.open(small).resize((256, 256), Image.BICUBIC),
    )
    steep, gentle = (
        np.quantile(np.abs(np.diff(np.asarray(image, float), axis=1)), 0.999)
        for image in (sharp, smooth)
    )
    assert sharp.size == (256, 256) and steep > 1.5 * gentle
    assert (
        np.abs(np.asarray(sharp.reduce(4), float) - np.asarray(Image.open(small), float)).mean()
        < 15
    )


def test_evaluated_captions_are_always_the_same():
    quotas = {"emoji": 4, "shape, held out": 2, "pair": 5, "count": 5}
    first, second = (evaluate.draw_samples(quotas) for _ in range(2))
    assert [one.caption for one in first] == [one.caption for one in second]
    assert all(one.background for one in first)


def test_wilson_interval_matches_the_textbook():
    assert evaluate.round_interval(8, 10) == pytest.approx(
        (0.490, 0.943), abs=0.001
    )  # Brown, Cai and DasGupta 2001


PROGRAMS = ("train", "evaluate", "evaluate_guided", "evaluate_probes", "train_watermark", "atlas")


@pytest.mark.parametrize("program", PROGRAMS)
def test_a_program_says_how_it_is_called_without_loading_torch(program):
    code = (
        f"import runpy, sys; sys.argv[1:] = ['--help']\ntry: runpy.run_module('training.{program}',"
        " run_name='__main__', alter_sys=True)\nfinally: assert 'torch' not in sys.modules"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert told.returncode == 0 and f"python -m training.{program}" in told.stdout, told.stderr


@FOLDERS
def test_a_card_names_the_programs_that_made_and_measured_the_model(folder):
    card = (folder / "README.md").read_text(encoding="utf-8")
    guided = "_guided" if folder in (TINY_DEPTH, TINY_X4) else ""
    assert "`python -m training.train" in card and f"`python -m training.evaluate{guided}" in card


@pytest.mark.parametrize(
    "folder", [TINY_V1, TINY_V2, TINY_SIGNS, TINY_LETTERS], ids=lambda folder: folder.name
)
def test_the_card_states_the_answers_to_every_probe_of_its_world(folder):
    report = json.loads((folder / "probes.json").read_text())
    assert write_answers(report) in (folder / "README.md").read_text(encoding="utf-8")
    little = {name: row for name, row in PROBES.items() if folder.name in row.models}
    assert list(report["probes"]) == list(little)
    for name, facts in report["probes"].items():
        assert (facts["question"], facts["column"]) == (little[name].question, little[name].column)
        assert all(row["prompts"] == len(little[name].prompts) for row in facts["rows"])
        assert all(row["low"] <= row["value"] <= row["high"] for row in facts["rows"])


def hasty(monkeypatch):
    """Train in this process, and judge by a few pictures."""
    monkeypatch.setattr("os.cpu_count", lambda: 1)
    monkeypatch.setattr("training.encoded.HELD_OUT", 8)
    few = train_autoencoder.make_validation_pixels
    monkeypatch.setattr(train_autoencoder, "make_validation_pixels", lambda world: few(world, 4))


def test_training_runs_through_and_resumes(tmp_path, monkeypatch, capfd):
    hasty(monkeypatch)
    few = [
        "--workdir",
        str(tmp_path),
        "--denoiser-minutes",
        ".02",
        "--autoencoder-minutes",
        ".01",
        "--decoder-minutes",
        ".01",
        "--denoiser-batch",
        "2",
        "--autoencoder-batch",
        "1",
        "--pictures",
        "64",
        "--resume",
    ]
    train.main(few)
    saved = torch.load(tmp_path / "denoiser.pt", weights_only=True)
    steps, minutes = saved["steps"], saved["seconds"] / 60 + 0.04  # a step can take longer than .02
    (tmp_path / "finished.json").write_text('["tokenizer", "autoencoder", "encode"]')
    capfd.readouterr()
    train.main([*few, "--denoiser-minutes", f"{minutes}"])
    assert capfd.readouterr().out.count("done before") == 3
    assert torch.load(tmp_path / "denoiser.pt", weights_only=True)["steps"] > steps > 0
    assert (tmp_path / "model" / "model_index.json").exists()


@pytest.mark.parametrize(
    "model, kind",
    [
        ("tiny-v2", "StableDiffusionPipeline"),
        ("tiny-depth", "StableDiffusionDepth2ImgPipeline"),
        ("tiny-x4", "StableDiffusionUpscalePipeline"),
    ],
)
def test_a_model_that_starts_from_the_first_becomes_a_pipeline_of_its_own_kind(
    model, kind, tmp_path, monkeypatch
):
    hasty(monkeypatch)
    minutes = [
        word
        for stage in train.TRAININGS
        for word in (f"--{stage}-minutes", ".005", f"--{stage}-batch", "2")
    ]
    train.main(["--model", model, "--workdir", str(tmp_path), "--pictures", "24", *minutes])
    assert json.loads((tmp_path / "model/model_index.json").read_text())["_class_name"] == kind
    assert set(json.loads((tmp_path / "model/training.json").read_text())) == set(
        RECIPES[model].stages
    ) & set(train.TRAININGS)
