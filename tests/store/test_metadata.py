"""A picture's PNG says how it was made: exactly to sdlab, and in A1111's words to other tools."""

import io
import random
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from sdlab.recipe.request import Recipe, Request, key_of
from sdlab.recipe.schedulers import SCHEDULERS
from sdlab.store import infotext
from sdlab.store.infotext import quote_value, read_infotext, write_infotext
from sdlab.store.png import embed_record, read_record

RESOLVED = Recipe(
    prompt="a hamster",
    model="tiny-v1",
    seed=5,
    guidance_scale=7.5,
    num_inference_steps=20,
    height=512,
    width=448,
    scheduler="DDIMScheduler",
    weights="0123456789abcdef" * 2,
)
NASTY = [
    "",
    " ",
    "\n",
    "a, b: c; \"d\" 'e' \\ \\n",
    "two\nlines\r\nand a third\n",
    "Negative prompt: none",
    "x\nNegative prompt: y",
    "Steps: 20, Sampler: DDIM, CFG scale: 7",
    "emoji 🐹 \U0001f469\u200d\U0001f3a8, e\u0301, עברית, \u202egnp",
    "tab\t bell\x07 escape\x1b[31m",
    "nul \0 in it",
    "\x7f\x85\xa0\ufeff\uffff",
    '{"json": [1, null]}',
    "10,000 " + "x" * 10_000,
]
STRANGE = 'abc ,:"\\\n\r\t{}[]\0\x01\x7f\x85é🐹\u2028'


def picture(size: int = 16, seed: int = 0) -> Image.Image:
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (size, size, 3), "u1"))


def made(facts=(), **changes) -> bytes:
    return embed_record(Recipe(**RESOLVED.to_dict() | changes), picture(), dict(facts))


def opened(data: bytes) -> PngImagePlugin.PngImageFile:
    return Image.open(io.BytesIO(data))


@pytest.mark.parametrize("prompt", NASTY)
def test_a_record_returns_every_prompt_exactly(prompt):
    record = read_record(made(prompt=prompt, negative_prompt=prompt[::-1]))
    assert record["request"] == RESOLVED.but(prompt=prompt, negative_prompt=prompt[::-1]).to_dict()
    assert key_of(record["request"]) == record["key"]


def test_a_record_returns_random_prompts_exactly():
    draw = random.Random(0)
    for _ in range(200):
        prompt = "".join(draw.choices(STRANGE, k=draw.randrange(40)))
        assert read_record(made(prompt=prompt))["request"]["prompt"] == prompt


@pytest.mark.parametrize("prompt", NASTY)
def test_pillow_opens_every_picture_and_finds_both_texts_before_the_pixels(prompt):
    data = made(prompt=prompt)
    image = opened(data)
    assert set(image.info) == {"sdlab", "parameters"}  # known before load(), so before the pixels
    assert "\0" not in image.info["parameters"] and image.info["parameters"].startswith(
        prompt[:1].replace("\0", "\ufffd")
    )
    assert data.index(b"sdlab\0") < data.index(b"parameters\0") < data.index(b"IDAT")


def test_the_pixels_are_those_given():
    assert opened(made()).convert("RGB").tobytes() == picture().tobytes()


def test_a_record_keeps_facts_of_any_type_and_drops_the_unknown():
    facts = {
        "seconds": np.float32(0.5),
        "nsfw": np.bool_(False),
        "device": Exception("cpu"),
        "error": None,
        "x": float("nan"),
        "deep": [1],
    }
    assert read_record(made(facts))["facts"] == {
        "seconds": 0.5,
        "nsfw": False,
        "device": "cpu",
        "deep": [1],
    }


def test_a_record_keeps_half_characters_in_facts():
    assert read_record(made({"machine": "caf\udce9"}))["facts"] == {
        "machine": "caf\udce9"
    }  # a file name that is not UTF-8


def test_a_record_is_strict_json():
    with pytest.raises(ValueError, match="not JSON compliant"):
        made({"seconds": float("inf")})


@pytest.mark.parametrize(
    "given, named", [(picture().convert("RGBA"), "'RGBA'"), (np.zeros((8, 8, 3), "u1"), "ndarray")]
)
def test_only_rgb_pictures_are_taken(given, named):
    with pytest.raises(TypeError, match=f"mode 'RGB', not .*{named}.*convert"):
        embed_record(RESOLVED, given, {})


def test_another_programs_png_has_no_record(tmp_path):
    picture().save(tmp_path / "other.png")
    assert read_record(tmp_path / "other.png") is None


def test_a_png_cut_at_any_length_is_torn():
    data = made()
    assert read_record(data)
    for length in range(len(data)):
        with pytest.raises(ValueError, match="torn"):
            read_record(data[:length])


def test_a_changed_bit_in_the_record_is_noticed():
    data = bytearray(made(prompt="a hamster"))
    data[data.index(b"hamster")] ^= 1
    with pytest.raises(ValueError, match="damaged"):
        read_record(bytes(data))


@pytest.mark.parametrize(
    "text",
    ["[1, 2]", "{", "", '{"key": 1, "request": {}, "facts": {}}', '{"key": "k", "request": {}}'],
)
def test_a_record_that_is_none_of_ours_is_damaged(text):
    info = PngImagePlugin.PngInfo()
    info.add_itxt("sdlab", text)
    file = io.BytesIO()
    picture().save(file, "PNG", pnginfo=info)
    with pytest.raises(ValueError, match="damaged"):
        read_record(file.getvalue())


def test_what_is_no_png_is_refused_by_name(tmp_path):
    picture().save(tmp_path / "photo.jpg")
    with pytest.raises(ValueError, match=r"photo\.jpg: not a PNG"):
        read_record(tmp_path / "photo.jpg")


def test_a_record_after_the_pixels_is_found():
    info = PngImagePlugin.PngInfo()
    info.add(b"iTXt", b'sdlab\0\0\0\0\0{"key": "k", "request": {}, "facts": {}}', after_idat=True)
    file = io.BytesIO()
    picture().save(file, "PNG", pnginfo=info)
    assert read_record(file.getvalue())["key"] == "k"


def test_infotext_is_written_as_a1111_writes_it():
    assert write_infotext(
        RESOLVED.but(negative_prompt="blue", clip_skip=1, eta=0.5).to_dict(), "0.1.0"
    ) == (
        "a hamster\nNegative prompt: blue\n"
        "Steps: 20, Sampler: DDIM, CFG scale: 7.5, Seed: 5, Size: 448x512, Model hash: 0123456789, Model: tiny-v1, "
        "Clip skip: 2, RNG: CPU, Eta DDIM: 0.5, Version: sdlab 0.1.0"
    )


def test_infotext_names_the_schedule_where_a1111_would_take_another():
    text = write_infotext(
        RESOLVED.but(scheduler="DPMSolverMultistepScheduler", guidance_scale=7).to_dict(), "1"
    )
    assert "Sampler: DPM++ 2M, Schedule type: Uniform, CFG scale: 7, Seed" in text


def test_infotext_leaves_out_what_is_not_set():
    text = write_infotext(RESOLVED.to_dict(), "0.1.0")
    assert not any(word in text for word in ("Negative", "Clip skip", "Eta", "Schedule"))


def test_the_pictures_infotext_names_the_version_in_its_facts():
    assert opened(made({"sdlab_version": "1.2"})).info["parameters"] == write_infotext(
        RESOLVED.to_dict(), "1.2"
    )


def test_every_scheduler_has_a_name_and_returns():
    for scheduler in SCHEDULERS:
        assert (
            read_infotext(write_infotext(RESOLVED.but(scheduler=scheduler).to_dict(), "1"))[
                "scheduler"
            ]
            == scheduler
        )


def test_infotext_returns_all_it_can_hold():
    exact = [text for text in NASTY if "Negative prompt:" not in text]
    changes = dict(
        negative_prompt='b, "c": d\ne',
        clip_skip=2,
        eta=0.25,
        model='C:\\my, "models"\n',
        guidance_scale=1 / 3,
    )
    for prompt in exact:
        request = RESOLVED.but(prompt=prompt, **changes).to_dict()
        fields = read_infotext(write_infotext(request, "1"))
        assert {name: fields[name] for name in request if name != "weights"} == {
            name: value for name, value in request.items() if name != "weights"
        }


def test_quoted_values_return_among_others():
    draw = random.Random(1)
    for _ in range(300):
        value = "".join(draw.choices('ab ,:"\\\n\r\té', k=draw.randrange(1, 9)))
        fields = read_infotext(f"p\nA b: 1, Hires x: {quote_value(value)}, C d: 2, Version: x")
        assert (fields["Hires x"], fields["C d"]) == (value, "2")


def test_a1111_text_is_read_in_diffusers_words():
    fields = read_infotext(
        "a cat,\non a mat\nNegative prompt: a dog,\nblurry\nSteps: 30, Sampler: DPM++ 2M Karras, CFG scale: 7, Seed: 5, "
        'Size: 512x768, Model: v1-5, Clip skip: 1, Lora hashes: "a: 1, b: 2", Eta: 0.2, Version: v1.10.1\n'
    )
    assert fields == {
        "prompt": "a cat,\non a mat",
        "negative_prompt": "a dog,\nblurry",
        "num_inference_steps": 30,
        "guidance_scale": 7.0,
        "seed": 5,
        "scheduler": "DPMSolverMultistepScheduler(use_karras_sigmas=True)",
        "width": 512,
        "height": 768,
        "model": "v1-5",
        "clip_skip": 0,
        "Lora hashes": "a: 1, b: 2",
        "eta": 0.2,
        "Version": "v1.10.1",
    }


LAST = "Steps: 20, Sampler: DDIM, CFG scale: 7, Seed: 123, Size: 512x768"


def test_lines_behind_the_parameters_are_kept_under_their_names():
    fields = read_infotext(
        f"a cat\nNegative prompt: blurry\n{LAST}, Model: v1-5\n"
        "Template: a {cat|dog}, style: oil, light: low, Seed: 9\nand more\n"
        "Negative Template: {blurry, |}bad"
    )
    assert fields == read_infotext(f"a cat\nNegative prompt: blurry\n{LAST}, Model: v1-5") | {
        "Template": "a {cat|dog}, style: oil, light: low, Seed: 9\nand more",
        "Negative Template": "{blurry, |}bad",
    }
    other = read_infotext(f"a cat\n{LAST}\nWildcard prompt: a, b\nDetailer: x")
    assert (other["seed"], other["width"]) == (123, 512)
    assert (other["Wildcard prompt"], other["Detailer"]) == ("a, b", "x")


def test_negative_prompts_said_twice_are_one():
    fields = read_infotext(f"a\nNegative prompt: b\nNegative prompt: c\n{LAST}")
    assert (fields["prompt"], fields["negative_prompt"]) == ("a", "b\nc")


@pytest.mark.parametrize(
    ("name", "written", "value"),
    [
        ("Lora hashes", '"a: 1, b: 2"', "a: 1, b: 2"),
        ("X Values", "\"1-3, 5: 'c'\"", "1-3, 5: 'c'"),
        ("X Values", '"he said "no", twice", of', '"he said "no", twice", of'),
        ("Styles", "oil, light, old", "oil, light, old"),
        ("Resources", '[{"id": 1, "name": "a, Seed: 2"}, {"id": 3}]', None),
        ("Hashes", '{"model": "01", "lora:x": "02"}', None),
        ("ADetailer prompt", '"two\nlines, Seed: 9: x"', "two\nlines, Seed: 9: x"),
        ("ADetailer prompt", "two\nlines", "two\nlines"),
        ("Broken", '[half, "x', None),
    ],
)
def test_values_with_commas_quotes_and_newlines_are_whole(name, written, value):
    for last in (f"{LAST}, {name}: {written}", f"{LAST}, {name}: {written}, Version: v1.10.1"):
        fields = read_infotext(f"a cat\n{last}")
        assert (fields[name], fields["seed"], fields["prompt"]) == (value or written, 123, "a cat")
        assert fields.get("Version") == ("v1.10.1" if last.endswith("v1.10.1") else None)


def test_a_name_alone_spoils_no_number_before_it():
    fields = read_infotext("a\nSteps: 20, Seed: 5, Tiling, Size: 8x8, CFG scale: 7")
    assert (fields["seed"], fields["tiling"], fields["width"]) == (5, "Tiling", 8)
    assert Request(tiling=fields["tiling"]).tiling == "both"


def test_bars_are_read_as_sdnext_wrote_them():
    fields = read_infotext(
        "prompt | with a bar\nNegative prompt: planet, face\nVersion: aa62f6d, Pipeline: Original,\n"
        'Steps: 25 | Seed: 18 | Sampler: Euler a | CFG scale: 7 | Size: 768x512 | Note: "a | b, c" | Clip skip: 2 | '
        "Operations: | Hires upscale: 2 | Denoising strength: 0.5"
    )
    assert fields == {
        "prompt": "prompt | with a bar",
        "negative_prompt": "planet, face",
        "Version": "aa62f6d",
        "Pipeline": "Original",
        "num_inference_steps": 25,
        "seed": 18,
        "guidance_scale": 7.0,
        "width": 768,
        "height": 512,
        "Note": "a | b, c",
        "clip_skip": 1,
        "Operations": "",
        "Hires upscale": "2",
        "Denoising strength": "0.5",
        "scheduler": "EulerAncestralDiscreteScheduler",
    }


def test_windows_line_ends_are_read():
    plain = f"a cat,\non a mat\nNegative prompt: b\n{LAST}\nTemplate: x"
    assert read_infotext(plain.replace("\n", "\r\n")) == read_infotext(plain)


def test_no_word_of_any_text_is_lost():
    draw = random.Random(2)
    names = ["Steps: 1, Seed: 2, CFG scale: 3", "Template: t", "Lora hashes: ", "Version"]
    pieces = ["cat", "Negative prompt: n", "\n", ", ", " | ", '"', "[", "]", "{", ": ", "\\"]
    for _ in range(500):
        text = draw.choices(pieces, k=draw.randrange(1, 12)) + draw.sample(names, 3)
        draw.shuffle(text)
        text = [f"word{n}." if piece == "cat" else piece for n, piece in enumerate(text)]
        said = " ".join(f"{name} {value}" for name, value in read_infotext("".join(text)).items())
        assert all(piece in said for piece in text if piece.startswith("word")), text


def test_a_last_line_of_two_pairs_belongs_to_the_prompt():
    assert read_infotext("a cat\nStyle: oil, Light: low") == {
        "prompt": "a cat\nStyle: oil, Light: low",
        "negative_prompt": "",
    }
    assert read_infotext("a\nNegative prompt: b\nStyle: oil")["negative_prompt"] == "b\nStyle: oil"


def test_a_line_of_pairs_inside_a_prompt_belongs_to_the_prompt():
    prompt = "a cat\nlens: 50mm, style: oil, light: low\non a mat"
    assert read_infotext(prompt)["prompt"] == prompt
    assert read_infotext(f"{prompt}\n{LAST}")["prompt"] == prompt


def test_broken_infotext_is_never_refused():
    fields = read_infotext(
        'x\nSteps: many, Size: big, Sampler: Mine, Seed: , Model: "half, Version: 1'
    )
    assert (
        fields["Steps"] == "many"
        and fields["Size"] == "big"
        and fields["Sampler"] == "Mine"
        and fields["Seed"] == ""
    )
    assert read_infotext("") == {"prompt": "", "negative_prompt": ""}


def test_metadata_and_store_load_no_heavy_library():
    heavy = {"torch", "diffusers", "pandas", "numpy", "PIL"}
    code = (
        f"import sys, sdlab.store.png, sdlab.store.store; print({heavy} & set(sys.modules) or '')"
    )
    assert (
        subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True
        ).stdout.strip()
        == ""
    )


def test_plain_parameters_are_split_as_others_are(monkeypatch):
    """The quick way, for parameters without quotes and brackets, gives what the thorough one gives."""
    rng = random.Random(0)
    pieces = ("Steps: 20", "Seed: 5", "Foo bar: a b", "x: y", "two: a: b", "empty: ", "alone")
    marks = (*[", "] * 20, ",", "  , ", ",  ", "\n", ", {", ', "')
    texts = [
        "".join(rng.choice(pieces) + rng.choice(marks) for _ in range(rng.randint(1, 6))).rstrip(
            ", "
        )
        for _ in range(2_000)
    ]
    quick = [infotext.split_pairs(text, ",") for text in texts]
    found = sum(infotext.split_plain(text) is not None for text in texts)
    monkeypatch.setattr(infotext, "split_plain", lambda text: None)
    assert quick == [infotext.split_pairs(text, ",") for text in texts] and 200 < found < 1_800
