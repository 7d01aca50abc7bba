"""What pictures go through on their way, and how often a mark is still found afterwards."""

import io

import numpy as np
import pytest
from PIL import Image

from sdlab import robustness
from sdlab.results.attacks import ATTACKS, Attack
from sdlab.results.stats import share_interval
from sdlab.watermark import PAYLOADS, decode_watermark, detect_watermark, embed_watermark

ON_PIXELS = [name for name in ATTACKS if name != "vae" and not name.startswith("img2img")]


def picture(seed=0, height=256, width=256):
    """Waves, an edge and a little noise, uint8 RGB."""
    rows, columns = np.mgrid[:height, :width]
    draw = np.random.default_rng(seed)
    waves = [
        np.sin(rows / draw.uniform(5, 20)) * np.cos(columns / draw.uniform(5, 20)) for _ in range(3)
    ]
    image = (
        np.stack(waves, -1) * 70
        + 128
        + draw.normal(0, 3, (height, width, 3))
        + 30 * (columns > rows)[..., None]
    )
    return image.clip(0, 255).astype("u1")


def tried(*args, **options):
    return robustness(*args, progress=False, **options)


# ---- the changes


@pytest.mark.parametrize("name", ON_PIXELS)
def test_an_attack_gives_another_picture_and_leaves_its_own_alone(name):
    image = picture()
    before = image.copy()
    changed = ATTACKS[name](image)
    assert changed.dtype == np.uint8 and changed.ndim == 3 and changed.shape[2] == 3
    assert np.array_equal(image, before) and np.array_equal(changed, image) == (name == "none")


@pytest.mark.parametrize(
    "name, size",
    [
        ("resize 0.5", (150, 129)),
        ("resize 1.1", (330, 284)),
        ("crop px 1", (298, 256)),
        ("crop px 10", (280, 238)),
        ("crop % 10", (270, 232)),
        ("crop 10 px + JPEG 90", (280, 238)),
        ("screenshot", (375, 322)),
        ("messenger", (1080, 929)),
        ("second-hand", (308, 262)),
        ("page", (1280, 720)),
        ("thumbnail", (198, 170)),
        ("JPEG twice 75", (297, 255)),
        ("turned 90", (258, 300)),
        ("JPEG 30", (300, 258)),
    ],
)
def test_the_size_after_an_attack_is_what_its_name_says(name, size):
    height, width, _ = ATTACKS[name](picture(0, 258, 300)).shape
    assert (width, height) == size


def test_pixels_are_moved_as_numpy_moves_them():
    image = picture()
    expected = {
        "mirrored": image[:, ::-1],
        "crop px 10": image[10:246, 10:246],
        "brightness 0.9": np.rint(image * 0.9),
        "brightness 1.1": np.rint(image * 1.1).clip(0, 255),
        "crop % 10": image[13:243, 13:243],
        "turned 90": image[:, ::-1].swapaxes(0, 1),
        "inverted": ~image,
    }
    assert all(np.array_equal(ATTACKS[name](image), after) for name, after in expected.items())


@pytest.mark.parametrize(
    "name, options",
    [
        ("JPEG 75", dict(format="JPEG", quality=75, subsampling=2)),
        ("JPEG 4:4:4 95", dict(format="JPEG", quality=95, subsampling=0)),
        ("WebP 80", dict(format="WEBP", quality=80)),
        ("AVIF 60", dict(format="AVIF", quality=60)),
    ],
)
def test_files_are_written_as_pillow_writes_them(name, options):
    file = io.BytesIO()
    Image.fromarray(picture()).save(file, **options)
    assert np.array_equal(ATTACKS[name](picture()), np.asarray(Image.open(file).convert("RGB")))


def test_a_picture_on_a_page_is_whole_and_not_on_the_grid_of_its_blocks():
    for image in (picture(), picture(0, 800, 1400)):
        page = ATTACKS["page"](image)
        height, width, _ = image.shape
        assert np.array_equal(page[53 : 53 + height, 101 : 101 + width], image)
        assert 53 % 8 and 101 % 8 and (page[:53] == 255).all() and (page[:, -101:] == 255).all()


def test_a_jpeg_saved_twice_was_cut_in_between():
    once = ATTACKS["JPEG 75"](picture())
    assert np.array_equal(ATTACKS["JPEG twice 75"](picture()), ATTACKS["JPEG 75"](once[3:, 3:]))


def test_noise_has_its_spread_and_contrast_its_factor():
    grey = np.full((256, 256, 3), 128, "u1")
    assert ATTACKS["noise 10"](grey).std() == pytest.approx(10, rel=0.02)
    image = picture()
    assert ATTACKS["contrast 0.9"](image).std() == pytest.approx(0.9 * image.std(), rel=0.01)
    assert ATTACKS["contrast 0.9"](image).mean() == pytest.approx(image.mean(), abs=0.5)


def test_blur_spreads_a_point_by_its_sigma():
    point = np.zeros((257, 257, 3), "u1")
    point[128, 128] = 255
    for sigma in (1, 2):
        profile = ATTACKS[f"blur {sigma}"](point)[..., 0].astype(float).sum(0)
        spread = np.sqrt((profile * (np.arange(257) - 128) ** 2).sum() / profile.sum())
        assert spread == pytest.approx(sigma, rel=0.15)


@pytest.mark.parametrize(
    "name", ["messenger", "screenshot", "page", "second-hand", "turned 90", "inverted"]
)
def test_second_hand_pictures_are_found_by_the_search_they_call_for(name):
    frame = tried(picture(1, 384, 384), "sd-v1", name)
    assert frame["detected"][0] == 1 and frame["log10_p"][0] < -8
    assert frame["search"][0] == ATTACKS[name].search and frame["official"][0] == 0


# ---- through a model


@pytest.fixture(scope="module")
def model(random_v1):
    import sdlab.models.pipeline

    yield str(random_v1)
    sdlab.models.pipeline.unload()


def test_vae_is_diffusers_own_encoding_and_decoding(model):
    import torch
    from diffusers import AutoencoderKL

    vae = AutoencoderKL.from_pretrained(model, subfolder="vae")
    with torch.inference_mode():
        x = torch.from_numpy(picture()).permute(2, 0, 1)[None] / 127.5 - 1
        y = vae.decode(vae.encode(x).latent_dist.mean).sample[0].permute(1, 2, 0)
    difference = ATTACKS["vae"](picture(), model=model) - ((y.clamp(-1, 1) + 1) * 127.5).numpy()
    assert np.abs(difference).max() < 0.51


def test_img2img_depends_on_strength_and_seed_alone(model):
    weak, strong = ATTACKS["img2img 0.1"], ATTACKS["img2img 0.2"]
    first = weak(picture(), seed=1, model=model)
    assert first.shape == (256, 256, 3) and np.array_equal(
        first, weak(picture(), seed=1, model=model)
    )
    assert not np.array_equal(first, weak(picture(), seed=2, model=model))
    assert not np.array_equal(first, strong(picture(), seed=1, model=model))


@pytest.mark.parametrize("name", ["vae", "img2img 0.1"])
def test_pictures_of_any_size_go_through_a_model_and_keep_it(model, name):
    image = picture(0, 259, 260)
    assert ATTACKS[name](image, model=model).shape == image.shape


# ---- the frame


def test_a_row_is_what_the_two_detectors_say_of_the_attacked_pictures():
    images, v1 = [picture(n) for n in range(6)], PAYLOADS["sd-v1"]
    attacked = [ATTACKS["blur 0.5"](embed_watermark(image, v1)) for image in images]
    findings = [detect_watermark(image, "sd-v1").best for image in attacked]
    exact = [np.array_equal(decode_watermark(image, 136), v1.bits) for image in attacked]
    row = tried(images, "sd-v1", ["none", "blur 0.5"]).iloc[1]
    assert (row["attack"], row["kind"], row["strength"], row["n"], row["search"]) == (
        "blur 0.5",
        "blur",
        0.5,
        6,
        "none",
    )
    assert row["detected"] == np.mean([f.detected for f in findings]) and row[
        "official"
    ] == np.mean(exact)
    assert row["log10_p"] == np.median([f.log10_p for f in findings])
    assert row["agreement"] == pytest.approx(np.mean([f.agreement for f in findings]))


def test_untouched_marks_are_found_and_unmarked_pictures_are_not_given_one_twice():
    frame = tried(picture(), "sdxl", "none")
    assert frame["detected"].tolist() == [1.0] and frame["agreement"][0] > 0.9


@pytest.mark.parametrize(
    "hits, n, low, high",
    [(0, 10, 0, 0.2775), (5, 10, 0.2366, 0.7634), (10, 10, 0.7225, 1), (81, 263, 0.2553, 0.3662)],
)
def test_the_interval_is_wilsons(hits, n, low, high):
    assert share_interval(hits, n) == pytest.approx(
        (low, high), abs=1e-4
    )  # the last one: Newcombe 1998, table I


def test_an_interval_needs_trials_and_no_more_hits_than_those():
    for hits, n in ((0, 0), (3, 2), (-1, 4)):
        with pytest.raises(ValueError, match="hits of"):
            share_interval(hits, n)


def test_each_attack_says_which_search_it_got():
    table = {name: ATTACKS[name] for name in ("none", "resize 1.1", "crop px 1")} | {
        "mine": lambda image: image[8:]
    }
    large = picture(0, 272, 264)
    assert tried(large, "sd-v2", table)["search"].tolist() == ["none", "size", "crop", "all"]
    assert tried(large, "sd-v2", ["resize 1.1"], search="none")["search"].tolist() == ["none"]


def test_noise_is_drawn_anew_for_each_picture_and_the_same_again_for_a_seed():
    seen = []

    def watching(image, seed):
        seen.append(seed)
        return image

    for seed in (0, 0, 1):
        tried([picture(), picture()], "sd-v2", {"watching": watching}, seed=seed)
    assert seen[:2] == seen[2:4] and len(set(seen)) == 4
    again = [tried(picture(), "sd-v1", "noise 20", seed=seed)["log10_p"][0] for seed in (0, 0, 1)]
    assert again[0] == again[1] != again[2]


def test_names_kinds_and_own_functions_choose_the_attacks(monkeypatch):
    assert tried(picture(), "sd-v2", ["blur", "none", "blur 1"])["attack"].tolist() == [
        "blur 0.5",
        "blur 1",
        "blur 2",
        "none",
    ]
    monkeypatch.setitem(ATTACKS, "grey", lambda image: Image.fromarray(image).convert("L"))
    frame = tried(picture(), "sd-v1", "grey")
    assert (frame["kind"][0], frame["detected"][0]) == ("grey", 0.0) and np.isnan(
        frame["strength"][0]
    )


def test_curves_are_a_pivot_away():
    frame = tried(picture(), "sd-v1", ["JPEG", "WebP"])
    curves = frame.pivot(index="strength", columns="kind", values="detected")
    assert (
        curves["JPEG"].dropna().index.tolist() == [30, 50, 75, 90, 95]
        and curves.loc[95, "JPEG"] == 1
    )


def test_pictures_may_be_files_pillow_images_and_arrays(tmp_path):
    Image.fromarray(picture()).save(tmp_path / "a.png")
    frame = tried(
        [tmp_path / "a.png", str(tmp_path / "a.png"), Image.fromarray(picture()), picture()],
        "sd-v2",
        "none",
    )
    one = tried(tmp_path / "a.png", "sd-v2", "none")
    assert frame["n"][0] == 4 and one["n"][0] == 1 and frame["log10_p"][0] == one["log10_p"][0]


def test_a_picture_that_became_too_small_is_tested_with_a_search_only():
    untested = tried(picture(), "sd-v1", "crop px 10", search="none").iloc[0]
    searched = tried(picture(), "sd-v1", "crop px 10").iloc[0]
    assert (
        untested["detected"] == untested["official"] == 0
        and np.isnan(untested["log10_p"])
        and untested["n"] == 1
    )
    assert searched["detected"] == 1 and searched["official"] == 0


# ---- errors


@pytest.mark.parametrize(
    "attacks, says",
    [
        ("JPG 90", "unknown attack 'JPG 90'; did you mean 'JPEG 90'.*img2img 0.8"),
        (["none", "rotation"], "unknown attack 'rotation'"),
        ([], "no attacks"),
        ({"mine": 3}, "attack 'mine' is 3.*function"),
    ],
)
def test_attacks_that_do_not_exist_are_refused_with_the_list(attacks, says):
    with pytest.raises((ValueError, TypeError), match=says):
        tried(picture(), "sd-v1", attacks)


@pytest.mark.parametrize(
    "result, says",
    [
        (None, "NoneType"),
        (np.zeros((8, 8, 3)), "float64"),
        (np.zeros((0, 8, 3), "u1"), r"\(0, 8, 3\)"),
        ("text", "str"),
    ],
)
def test_an_attack_that_gives_no_picture_is_named(result, says):
    with pytest.raises(TypeError, match=f"attack 'mine' gives no picture, but .*{says}"):
        tried(picture(), "sd-v1", {"mine": lambda image: result})


def test_other_mistakes_are_said_too():
    with pytest.raises(ValueError, match="picture 1 has 256x248 pixels.*65,536"):
        tried([picture(), picture(0, 248)], "sd-v1", {"never reached": lambda image: 1 / 0})
    with pytest.raises(ValueError, match="no pictures"):
        tried([], "sd-v1", "none")
    with pytest.raises(ValueError, match="search='both' is not one of auto"):
        tried(picture(), "sd-v1", "none", search="both")
    with pytest.raises(ValueError, match="did you mean the known 'sd-v1'"):
        tried(picture(), "SD v1", "none")


def test_an_attack_knows_its_name():
    assert [
        Attack("x", np.copy).name,
        Attack("x", np.copy, 0.5).name,
        Attack("x", np.copy, 10).name,
    ] == ["x", "x 0.5", "x 10"]
    assert all(attack.name == name for name, attack in ATTACKS.items())
