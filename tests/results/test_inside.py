"""Inside a cell: its tokens, steps, where words act, what each does, and the way to another cell."""

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from sdlab import FieldError, GenerationError, Request, inside, resolve, run
from sdlab.models.pipeline import load
from sdlab.models.resolve import native
from sdlab.render.between import mix_arcs, mix_lines
from sdlab.results.inside import text_space
from sdlab.results.inside.attention import Attention
from sdlab.results.inside.insight import require_path
from sdlab.results.inside.strip import Strip
from sdlab.results.inside.tokens import group_tokens, leave_out, list_pieces, name_words
from sdlab.tiny import TINY_V1
from sdlab.tiny.matcher import find_objects

QUICK = dict(num_inference_steps=4, dtype="float32")
CAT = Request(prompt="A Cat above a red circle, elephantish", num_inference_steps=4)


@pytest.fixture(scope="module")
def seen(tmp_path_factory):
    return inside(CAT, tmp_path_factory.mktemp("store"), batch_size=1)


def pixels(image):
    return np.asarray(image.convert("RGB"), float)


# Tokens


def test_the_pieces_of_a_prompt_say_what_was_written_and_what_is_one_word(seen):
    pieces = seen.tokens
    assert pieces["written"].tolist()[:7] == ["A", "Cat", "above", "a", "red", "circle", ","]
    assert pieces["piece"].tolist()[:2] == ["a", "cat"]
    assert pieces["lowered"].tolist()[:3] == [True, True, False]
    last = pieces[pieces["word"] == "elephantish"]
    assert len(last) > 1 and last["number"].nunique() == 1
    assert "".join(last["written"]) == "elephantish"
    assert "trace" not in vars(inside(CAT))


def test_tokens_are_those_that_the_model_reads():
    request = Request(prompt="a (red:1.4) cat", negative_prompt="Dog", prompt_syntax="weights")
    pieces = list_pieces(request)
    from sdlab.models.pipeline import open_tokenizer
    from sdlab.recipe.prompts import list_tokens

    for text, own in pieces.groupby("text"):
        wanted = list_tokens(open_tokenizer(native("tiny-v1")), getattr(request, text), "weights")
        assert list(zip(own["token"], own["weight"])) == wanted


def test_what_lies_beyond_the_77_is_listed_as_never_seen_and_not_drawn():
    long = Request(prompt="cat " * 80)
    pieces = inside(long).tokens
    assert pieces["read"].tolist() == [True] * 75 + [False] * 5
    assert pieces["place"].dropna().tolist() == list(range(1, 76))
    with pytest.raises(FieldError, match="77"):
        _ = inside(long).steps
    chunked = list_pieces(long.but(prompt_syntax="chunks"))
    assert chunked["read"].all() and chunked["place"].tolist()[75:77] == [78, 79]
    groups = group_tokens(chunked, 77)
    assert len(groups) == 154 and groups[0] == groups[77] == 0 and groups[76] == 81
    assert groups[1:76] + groups[78:83] == list(range(1, 81))


def test_a_repeated_word_has_a_name_of_its_own():
    assert name_words(list_pieces(Request(prompt="a cat and a cat"))) == [
        *("a", "cat", "and", "a (2)", "cat (2)")
    ]


@pytest.mark.parametrize(
    ("prompt", "syntax", "number", "wanted"),
    [
        ("a red  cat", None, 2, "a cat"),
        ("a elephantish cat", None, 2, "a cat"),
        ("a (red cat:1.3) [dog]", "weights", 2, r"a ( cat:1.3) (dog:0.909091)"),
        (r"a \(red\) cat", "weights", 2, r"a red\) cat"),
    ],
)
def test_a_word_is_left_out_of_the_prompt_and_nothing_else_is(prompt, syntax, number, wanted):
    request = Request(prompt=prompt, prompt_syntax=syntax)
    shorter = leave_out(request, number)
    assert shorter == wanted
    before, after = list_pieces(request), list_pieces(request.but(prompt=shorter))
    left = before[before["number"] != number]
    assert after[["token", "weight"]].values.tolist() == left[["token", "weight"]].values.tolist()


# Steps and guidance


def test_the_picture_is_the_same_to_the_bit_and_the_result_says_so(seen):
    assert seen.same and "to the bit" in seen.note
    assert len(seen.steps) == 4 and seen.steps["step"].tolist() == [1, 2, 3, 4]
    assert seen.steps["noise"].is_monotonic_decreasing and seen.steps["moved"].isna().sum() == 1
    assert (seen.steps["cosine"] <= 1).all() and (seen.guidance["direction"] > 0).all()


def test_another_picture_than_the_cells_own_is_not_passed_over(tmp_path):
    other = inside(CAT, tmp_path, batch_size=1)
    Image.new("RGB", (64, 64)).save(other.frame["path"][0])
    assert other.trace
    with pytest.warns(UserWarning, match="not the cell's own"):
        assert not other.same
    assert "not the cell's own" in other.note


def test_what_is_told_of_a_difference_is_how_each_was_computed(monkeypatch, tmp_path):
    monkeypatch.setattr("os.cpu_count", lambda: 2)
    other = inside(CAT, tmp_path, batch_size=1)
    other.frame["compiled"], other.frame["threads"] = True, 2
    assert other.trace.threads == 2
    assert "compiled True there, False here" in other._describe_difference()
    assert "threads" not in other._describe_difference()
    other.frame["threads"] = 64
    assert "threads 64 there, 2 here" in other._describe_difference()


def test_a_cell_of_a_machine_with_another_device_is_watched_on_this_one(monkeypatch, tmp_path):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    other = inside(CAT, tmp_path, batch_size=1)
    other.frame["device"], other.frame["dtype"] = "cuda", "float16"
    assert len(other.steps) == 4


def test_what_the_safety_checker_refuses_is_not_shown(monkeypatch, tmp_path):
    from sdlab.render.renderer import Renderer

    monkeypatch.setattr(Renderer, "_ask_checker", lambda self, pixels: True)
    with pytest.raises(GenerationError, match="safety checker"):
        _ = inside(CAT, tmp_path, batch_size=1).strip


def test_the_strip_ends_with_the_picture_and_is_as_long_as_the_steps(seen):
    strip = seen.strip
    assert len(strip) == 4 and {image.size for image in strip.pictures} == {(64, 64)}
    assert np.abs(pixels(strip.pictures[-1]) - pixels(seen.picture)).mean() < 2
    assert [caption.endswith("sketch") for caption in strip.captions] == [False, True, True, False]
    assert "only the first and the last step are decoded" in strip.title
    assert "believes the picture is, when it is given one with so much noise" in strip.title
    given = seen.given  # which begins as noise: its neighbours differ, as those of a belief do not
    rough = [np.abs(np.diff(pixels(one.pictures[0]), axis=0)).mean() for one in (given, strip)]
    assert len(given) == 4 and rough[0] > 2 * rough[1] and "noise and all" in given.title
    assert seen.draw_guidance()._repr_png_()[0][:4] == strip._repr_png_()[0][:4] == b"\x89PNG"


def test_the_figures_of_the_inside_tell_their_captions_to_who_does_not_see_them(seen, monkeypatch):
    shown = []
    monkeypatch.setattr("IPython.display.display", lambda data, **_: shown.append(data))
    seen.strip._ipython_display_()
    words = " ".join(" ".join(seen.strip.captions).split())
    assert len(shown) == 2 and "only the first and the last step are decoded" in shown[0].data
    assert all(word in shown[0].data for word in words.split())
    said = seen.draw_guidance().get_label()
    assert said.startswith("u + w (c - u): the same noise")
    assert ". guidance 7.5: step 1" in said and ". the vector: 0." in said


def test_pictures_of_other_guidance_are_cells(seen):
    frame = seen.compare_guidance((0, 1, 7.5))
    assert frame["guidance_scale"].tolist() == [0, 1, 7.5] and frame["path"].notna().all()


# Attention


def test_the_shares_of_words_and_marks_add_up_to_one(seen):
    attention = seen.attention
    total = sum(attention.find_map(group) for group in range(len(attention.groups)))
    assert total.shape == (8, 8) and np.allclose(total, 1, atol=1e-5)
    own = attention.frame.query("word == 'Cat' and first == 2").iloc[0]
    assert own["share"] == pytest.approx(attention.find_map("Cat", step=2).mean())


def test_a_word_that_is_not_there_has_no_map(seen):
    with pytest.raises(ValueError, match="'dog' is not in the prompt.*'Cat'"):
        seen.attention.find_map("dog")
    with pytest.raises(ValueError, match="1 to 4"):
        seen.attention.find_map("Cat", step=5)
    with pytest.raises(ValueError, match=r"size=\(3, 3\).*\(8, 8\)"):
        seen.attention.find_map("Cat", size=(3, 3))


def test_a_network_without_cross_attention_is_said_to_have_none():
    with pytest.raises(ValueError, match="no cross-attention"):
        Attention(["cat"], {}, [], Image.new("RGB", (8, 8))).find_map("cat")


def test_maps_of_several_sizes_are_brought_to_the_largest_and_averaged():
    small, large = np.full((1, 3, 1, 1), 0.2), np.zeros((1, 3, 2, 2))
    large[0, 1] = [[1, 2], [3, 4]]
    both = Attention(["cat"], {(1, 1): small, (2, 2): large}, [], Image.new("RGB", (8, 8)))
    assert np.allclose(both.find_map("cat"), [[0.6, 1.1], [1.6, 2.1]])
    assert np.allclose(both.find_map("cat", size=(1, 1)), 0.2)


@pytest.mark.parametrize(("one", "other"), [("hamster", "banana"), ("fox", "umbrella")])
def test_the_map_of_a_noun_lies_on_its_object(one, other, tmp_path):
    prompt = f"a {one} and an {other}" if other[0] in "aeiou" else f"a {one} and a {other}"
    seen = inside(Request(prompt=prompt), tmp_path, batch_size=1)
    found = {each.name: each for each in find_objects(seen.picture)}
    for name in (one, other):
        box, share = found[name], np.kron(seen.attention.find_map(name), np.ones((8, 8)))
        rows, columns = (
            slice(max(0, int(at - box.side / 2)), int(at + box.side / 2)) for at in (box.y, box.x)
        )
        inside_box = share[rows, columns]
        assert inside_box.sum() / share.sum() > 2 * inside_box.size / share.size


# What takes more cells


def test_without_a_word_the_picture_moves_by_what_the_files_say(seen):
    frame = seen.ablate()
    assert frame["left_out"][0] == "nothing" and "," not in set(frame["left_out"])
    assert set(frame["left_out"][1:]) == {"A", "Cat", "above", "a", "red", "circle", "elephantish"}
    assert frame["distance_levels"][1:].is_monotonic_decreasing
    with Image.open(frame["path"][0]) as own, Image.open(frame["path"][1]) as moved:
        wanted = np.abs(pixels(own) - pixels(moved)).mean()
    assert frame["distance_levels"][1] == pytest.approx(wanted)


def test_the_nearest_words_are_those_of_the_padded_prompts(seen):
    found = seen.nearest("a cat", 5)
    assert found["word"].tolist()[:2] == ["cat", "cats"]
    pipe = load(native("tiny-v1")).pipe
    with torch.inference_mode():
        states = []
        for text in ["a cat", *found["word"]]:
            ids = pipe.tokenizer(text, padding="max_length", return_tensors="pt")["input_ids"]
            end = (ids[0] == pipe.tokenizer.eos_token_id).int().argmax()
            states.append(pipe.text_encoder(ids)[0][0, end].float())
    own, others = states[0], torch.stack(states[1:])
    wanted = torch.cosine_similarity(others, own[None])
    assert np.allclose(found["cosine"], wanted, atol=0.02)  # half precision


def test_the_nearest_words_with_a_lora_are_its_own_at_each_scale(seen, tmp_path):
    from swaps import write_peft_lora

    file = write_peft_lora(tmp_path / "lora.safetensors", TINY_V1, parts=("text_encoder",))
    plain = seen.nearest("a cat")
    with_lora = [CAT.but(lora=f"{file}@{scale}") for scale in (2, 5)]
    before = [inside(request, tmp_path).nearest("a cat") for request in with_lora]
    text_space._words.clear()
    for request, found in zip(with_lora, before):
        pd.testing.assert_frame_equal(inside(request, tmp_path).nearest("a cat"), found)
        assert not np.allclose(found["cosine"], plain["cosine"], atol=1e-3)
    assert not np.allclose(before[0]["cosine"], before[1]["cosine"], atol=1e-3)
    pd.testing.assert_frame_equal(seen.nearest("a cat"), plain)


def test_the_way_between_two_cells_begins_and_ends_with_their_own_bits(seen, tmp_path):
    other = CAT.but(prompt="a dog", seed=5)
    for way in ("slerp", "lerp"):
        strip = seen.between(other, 3, way=way)
        ends = seen.frame["path"][0], run(other, tmp_path, batch_size=1, progress=False)["path"][0]
        for picture, path in zip((strip.pictures[0], strip.pictures[-1]), ends):
            with Image.open(path) as image:
                assert np.array_equal(pixels(picture), pixels(image))
    assert "prompt" in strip.title and "seed: 0 → 5" in strip.title


def test_the_arc_keeps_the_length_of_noise_and_the_line_does_not():
    one, other = torch.randn(2, 4, 16, 16, generator=torch.Generator().manual_seed(0)).split(1)
    half = torch.full((1, 1, 1, 1), 0.5)
    assert float(mix_arcs(one, other, half).std()) == pytest.approx(1, abs=0.05)
    assert float(mix_lines(one, other, half).std()) == pytest.approx(0.5**0.5, abs=0.05)
    assert torch.equal(mix_arcs(one, one, half), one)


@pytest.mark.parametrize("mix", [mix_arcs, mix_lines])
def test_the_ends_of_a_way_are_the_two_to_the_bit(mix):
    for seed in range(50):
        one, other = torch.randn(2, 1, 4, 8, 8, generator=torch.Generator().manual_seed(seed))
        assert torch.equal(mix(one, other, torch.zeros(1, 1, 1, 1)), one)
        assert torch.equal(mix(one, other, torch.ones(1, 1, 1, 1)), other)
        assert torch.equal(mix(one, one.clone(), torch.full((1, 1, 1, 1), 0.3)), one)


@pytest.mark.parametrize(
    "how",
    [{"scheduler": "Euler a"}, {"scheduler": "DPM++ 2M SDE"}, {"scheduler": "DDIM", "eta": 0.5}],
)
def test_there_is_no_way_between_the_noises_of_steps(how):
    one = CAT.but(**how)
    with pytest.raises(FieldError, match="adds noise of one seed") as caught:
        inside(one).between(one.but(seed=1))
    assert caught.value.field == "scheduler"
    require_path(resolve(one), resolve(one.but(prompt="a dog")))
    plain = CAT.but(scheduler="DDIM")
    require_path(resolve(plain), resolve(plain.but(seed=1)))


def test_there_is_no_way_between_cells_that_differ_otherwise(seen):
    with pytest.raises(FieldError, match="num_inference_steps=4 and 5") as caught:
        seen.between(CAT.but(num_inference_steps=5))
    assert caught.value.field == "num_inference_steps"
    with pytest.raises(FieldError, match="img2img"):
        picture = Image.new("RGB", (64, 64))
        inside(CAT.but(image=picture)).between(CAT.but(image=picture, seed=1))
    with pytest.raises(ValueError, match="'slerp' or 'lerp'"):
        seen.between(CAT.but(seed=1), way="arc")


@pytest.mark.parametrize("name", ["way.gif", "way.webp"])
def test_an_animation_has_every_picture_as_long_as_asked(name, tmp_path):
    strip = Strip([Image.new("RGB", (8, 8), color) for color in ("red", "blue")], ["", ""])
    with Image.open(strip.save(tmp_path / name, seconds=0.5, side=32)) as image:
        assert image.n_frames == 2 and image.size == (32, 32)
        image.seek(1)
        image.load()
        assert image.info["duration"] == 500 and image.convert("RGB").getpixel((0, 0))[2] > 200


def test_a_video_says_what_it_needs(monkeypatch, tmp_path):
    import sys

    monkeypatch.setitem(sys.modules, "imageio_ffmpeg", None)
    strip = Strip([Image.new("RGB", (8, 8))], [""])
    with pytest.raises(ModuleNotFoundError, match=r"imageio-ffmpeg.*\.gif and \.webp"):
        strip.save(tmp_path / "way.mp4")
    with pytest.raises(ValueError, match=r"\.gif or \.webp or \.mp4"):
        strip.save(tmp_path / "way.avi")


@pytest.mark.parametrize("works", [True, False])
def test_a_video_gets_every_frame_and_one_that_was_not_written_is_not_passed_over(
    monkeypatch, tmp_path, works
):
    import sys
    from types import SimpleNamespace

    def write_frames(path, size, fps, **options):
        assert (size, fps) == ((32, 32), 4)
        got = []
        try:
            while True:
                got.append((yield))
        finally:
            if works:
                with open(path, "wb") as file:
                    file.write(b"".join(got))

    stub = SimpleNamespace(write_frames=write_frames)
    monkeypatch.setitem(sys.modules, "imageio_ffmpeg", stub)
    strip = Strip([Image.new("RGB", (8, 8), color) for color in ("red", "blue")], ["", ""])
    if works:
        data = strip.save(tmp_path / "way.mp4", side=32).read_bytes()
        assert len(data) == 2 * 3 * 32**2 and data[:3] == b"\xff\0\0" and data[-1:] == b"\xff"
    else:
        with pytest.raises(OSError, match="way.mp4.*wrote no video"):
            strip.save(tmp_path / "way.mp4", side=32)
    assert [each.name for each in tmp_path.iterdir()] == ["way.mp4"] * works


def test_the_frames_are_pandas_own(seen):
    assert all(type(f) is pd.DataFrame for f in (seen.tokens, seen.steps, seen.guidance))
