"""Input pictures enter a recipe by content, and a store keeps them."""

import io
import shutil
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms, PngImagePlugin

from sdlab import MODELS, Request, Store, preview, run, sweep
from sdlab.models.resolve import resolve
from sdlab.pictures import _known, fit_picture, hash_pixels, name_picture, png_bytes, read_picture
from sdlab.render.plan import plan
from sdlab.results.code import write_results_code
from sdlab.store.infotext import read_infotext, write_infotext
from sdlab.store.png import read_record

GREY = np.arange(64 * 64, dtype=np.uint8).reshape(64, 64)
COLOURS = np.stack([GREY, GREY.T, GREY[::-1]], axis=-1)
BASE = Request(prompt="a red circle", num_inference_steps=4)


@pytest.fixture
def forgotten():
    """Call it, and this process knows no input pictures any more, as after a restart."""
    before = dict(_known)
    yield _known.clear
    _known.update(before)


# One content, one name


def test_a_picture_has_one_name_in_all_its_forms(tmp_path):
    image = Image.fromarray(COLOURS)
    image.save(tmp_path / "a.png")
    opaque = image.convert("RGBA")
    opaque.save(tmp_path / "b, c.webp", lossless=True)
    forms = [
        COLOURS,
        image,
        tmp_path / "a.png",
        str(tmp_path / "a.png"),
        tmp_path / "b, c.webp",
        opaque,
        hash_pixels(image),
    ]
    assert {Request(image=form).image for form in forms} == {hash_pixels(image)}
    assert len(sweep(BASE, image=str(tmp_path / "b, c.webp"))) == 1  # a comma belongs to the path
    assert (
        len(sweep(BASE, image=[COLOURS, COLOURS[::-1], image])) == 2
        and len(sweep(BASE, image=COLOURS)) == 1
    )


def test_a_finished_picture_as_input_has_the_hash_of_its_record(finished):
    _, frame = finished
    assert Request(image=frame["path"][0]).image == frame["pixels"][0]


def test_what_is_transparent_becomes_white_and_in_a_mask_black():
    clear = np.dstack([COLOURS, np.zeros_like(GREY)])
    clear[:32, :, 3] = 255
    with pytest.warns(UserWarning, match="partly transparent"):  # as the rest has many tones
        image, mask = (
            np.asarray(read_picture(name_picture(field, Image.fromarray(clear))))
            for field in ("image", "mask_image")
        )
    assert np.array_equal(image[:32], COLOURS[:32]) and (image[32:] == 255).all()
    assert mask.shape == (64, 64) and (mask[32:] == 0).all()


def test_the_orientation_that_a_camera_noted_is_applied(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by 90 degrees clockwise
    Image.fromarray(COLOURS[:, :32]).save(tmp_path / "photo.png", exif=exif)
    assert np.array_equal(
        read_picture(name_picture("image", tmp_path / "photo.png")), np.rot90(COLOURS[:, :32], -1)
    )


def make_profile(swap=False):
    """LittleCMS's profile of sRGB; or one in which red and blue have changed places."""
    data = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    tags = {bytes(data[at : at + 4]): at for at in range(132, 132 + 12 * data[131], 12)}
    red, blue = tags[b"rXYZ"] + 4, tags[b"bXYZ"] + 4
    if swap:
        data[red : red + 8], data[blue : blue + 8] = data[blue : blue + 8], data[red : red + 8]
    return bytes(data)


def show(image, profile):
    """What a viewer shows, by Pillow's own function."""
    own, srgb = ImageCms.ImageCmsProfile(io.BytesIO(profile)), ImageCms.createProfile("sRGB")
    return ImageCms.profileToProfile(image, own, srgb, outputMode="RGB")


@pytest.mark.parametrize("kind", ["png", "jpeg", "tiff", "webp"])
def test_colours_with_a_profile_are_those_that_a_viewer_shows(tmp_path, kind):
    profile, path = make_profile(swap=True), tmp_path / f"tagged.{kind}"
    Image.fromarray(COLOURS).save(path, icc_profile=profile)
    with Image.open(path) as image:
        expected = show(image, profile)
        assert Request(image=image).image == Request(image=path).image == hash_pixels(expected)
        assert Request(mask_image=path).mask_image == hash_pixels(expected.convert("L"))
    red, blue = np.asarray(expected)[..., 0], np.asarray(Image.open(path).convert("RGB"))[..., 2]
    assert np.abs(red.astype(int) - blue).max() <= 3  # as red and blue have changed places


def test_a_picture_is_cut_about_its_middle_and_what_is_transparent_becomes_white(tmp_path):
    drawing = Image.new("RGBA", (120, 60), (200, 0, 0, 255))
    drawing.paste((0, 0, 0, 0), (60, 0, 120, 60))  # the right half
    drawing.save(tmp_path / "drawing.png")
    found = fit_picture(tmp_path / "drawing.png", (30, 30))
    assert (found.mode, found.size) == ("RGB", (30, 30))
    assert found.getpixel((2, 15)) == (200, 0, 0) and found.getpixel((27, 15)) == (255, 255, 255)
    same = Image.new("RGB", (30, 30), "teal")
    assert name_picture("image", fit_picture(same, (30, 30))) == name_picture("image", same)
    assert fit_picture(drawing.getchannel("A"), (30, 30), "mask_image").mode == "L"


def test_a_profile_acts_before_transparency_and_on_palettes_and_grey(tmp_path):
    profile, clear = make_profile(swap=True), Image.fromarray(COLOURS)
    clear.putalpha(Image.fromarray(GREY))
    shown = show(Image.fromarray(COLOURS), profile).convert("RGBA")
    shown.putalpha(Image.fromarray(GREY))
    clear.save(tmp_path / "clear.png", icc_profile=profile)
    on_white = Image.alpha_composite(Image.new("RGBA", (64, 64), "white"), shown).convert("RGB")
    assert Request(image=tmp_path / "clear.png").image == hash_pixels(on_white)
    few = Image.fromarray(COLOURS).quantize(16)
    few.save(tmp_path / "few.png", icc_profile=profile)
    expected = hash_pixels(show(few.convert("RGB"), profile))
    assert Request(image=tmp_path / "few.png").image == expected
    gamma = ImageCms.ImageCmsProfile(io.BytesIO(make_profile())).tobytes()
    Image.fromarray(GREY).save(tmp_path / "grey.png", icc_profile=gamma)  # tagged as RGB
    assert Request(mask_image=tmp_path / "grey.png").mask_image == hash_pixels(
        Image.fromarray(GREY)
    )


def test_a_picture_tagged_as_srgb_keeps_its_name(tmp_path):
    image = Image.fromarray(COLOURS)
    image.save(tmp_path / "srgb.png", icc_profile=make_profile())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert Request(image=tmp_path / "srgb.png").image == hash_pixels(image)


def test_a_profile_that_cannot_be_used_is_said(tmp_path):
    image = Image.fromarray(COLOURS)
    image.save(tmp_path / "junk.png", icc_profile=b"junk" * 99)
    image.convert("CMYK").save(tmp_path / "cmyk.tif", icc_profile=make_profile(swap=True))
    for name in ("junk.png", "cmyk.tif"):
        with pytest.warns(UserWarning, match="image: the colour profile .*cannot be used.*Convert"):
            assert Request(image=tmp_path / name).image == hash_pixels(image)
    linear = PngImagePlugin.PngInfo()
    linear.add(b"gAMA", (100_000).to_bytes(4, "big"))
    image.save(tmp_path / "linear.png", pnginfo=linear)
    with pytest.warns(UserWarning, match="gamma of 1,"):
        assert Request(image=tmp_path / "linear.png").image == hash_pixels(image)


def test_a_store_keeps_the_original_of_a_picture_whose_colours_were_converted(tmp_path, forgotten):
    path, profile = tmp_path / "tagged.png", make_profile(swap=True)
    image = Image.fromarray(COLOURS)
    image.save(path, icc_profile=profile)
    request, store = Request(image=path), Store(tmp_path / "one")
    store.prepare([request])
    kept = tmp_path / "one" / "inputs" / f"{request.image}.original.png"
    assert kept.read_bytes() == path.read_bytes() and store.check().empty
    forgotten()
    store.inputs.lend([request.image])
    Store(tmp_path / "two").prepare([request])  # from store to store
    assert (tmp_path / "two" / "inputs" / kept.name).read_bytes() == path.read_bytes()
    image.info["icc_profile"] = profile
    forgotten()
    Store(tmp_path / "three").prepare([Request(image=image)])
    (made,) = (tmp_path / "three" / "inputs").glob("*.original.tiff")
    with Image.open(made) as again:
        assert (again.info["icc_profile"], hash_pixels(again)) == (profile, hash_pixels(image))


def test_masks_may_be_true_and_false_and_depth_maps_deep():
    mask = np.zeros((8, 16), bool)
    mask[:4] = True
    assert np.array_equal(np.asarray(read_picture(name_picture("mask_image", mask))), mask * 255)
    depth = Image.fromarray(np.linspace(1000, 61000, 256).astype(np.uint16).reshape(16, 16))
    assert np.array_equal(
        np.asarray(read_picture(name_picture("depth_map", depth))).ravel(), np.arange(256)
    )


@pytest.mark.parametrize(
    ("given", "kind", "said"),
    [
        ("nothing.png", FileNotFoundError, "image='nothing.png': there is no such file, seen from"),
        (COLOURS / 255, TypeError, "array of float64 .*astype"),
        (COLOURS[:, :, :2], TypeError, "array of uint8 .64, 64, 2."),
        (7, TypeError, "image=7 is a int; give the path"),
        (Image.fromarray(GREY.astype(np.uint16)), ValueError, "more than 8 bits"),
        (Path("tests"), ValueError, "is a folder"),
    ],
)
def test_what_is_no_picture_is_refused_with_what_to_do(given, kind, said):
    with pytest.raises(kind, match=said):
        Request(image=given)


def test_torn_and_moving_pictures_are_refused(tmp_path):
    whole = png_bytes(Image.fromarray(COLOURS))
    (tmp_path / "torn.png").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "text.png").write_text("no picture")
    Image.fromarray(GREY).save(
        tmp_path / "b.gif", save_all=True, append_images=[Image.fromarray(GREY.T)]
    )
    for name, said in [
        ("torn.png", "cannot be read"),
        ("text.png", "cannot be read"),
        ("b.gif", "2 frames; choose one"),
    ]:
        with pytest.raises(ValueError, match=f"mask_image=.*{said}"):
            Request(mask_image=tmp_path / name)


# In a store


@pytest.fixture(scope="module")
def cells():
    mask = np.zeros((64, 64), bool)
    mask[:32] = True
    return [
        *sweep(BASE.but(image=COLOURS), strength=[0.5, 1]),
        BASE.but(image=COLOURS, mask_image=mask),
        BASE,
    ]


@pytest.fixture(scope="module")
def rendered(cells, tmp_path_factory):
    """A folder with the pictures of the cells, for copies."""
    folder = tmp_path_factory.mktemp("rendered")
    run(cells, folder, on_error="raise")
    return folder


@pytest.fixture
def finished(cells, rendered, tmp_path, monkeypatch):
    """A store, `drawing` in the working folder, that has the cells, and its frame."""
    monkeypatch.chdir(tmp_path)
    shutil.copytree(rendered, tmp_path / "drawing")
    return Store("drawing"), run(cells, "drawing", progress=False)


def test_a_store_keeps_the_inputs_of_its_cells_and_runs_them_again_without_the_pictures(
    cells, finished, forgotten
):
    store, frame = finished
    assert (
        list(frame["task"]) == ["img2img", "img2img", "inpaint", "txt2img"]
        and frame["pixels"].nunique() == 4
    )
    assert {path.stem for path in (store.root / "inputs").iterdir()} == {
        *frame["image"].dropna(),
        *frame["mask_image"].dropna(),
    }
    assert np.array_equal(store.input(frame["image"][0]), COLOURS) and store.check().empty
    forgotten()
    assert repr(preview(cells, store)).endswith("all finished: nothing to render")
    for path in frame["path"]:
        Path(path).unlink()
    assert (
        run(cells, Store(store.root), on_error="raise")["pixels"].tolist()
        == frame["pixels"].tolist()
    )


def test_inputs_are_kept_before_anything_is_rendered(cells, tmp_path):
    Store(tmp_path).prepare([resolve(cell) for cell in cells])
    assert {path.stem for path in (tmp_path / "inputs").iterdir()} == {
        cells[0].image,
        cells[2].mask_image,
    }
    assert not [*(tmp_path / "images").iterdir()]


def test_a_picture_that_nobody_has_is_missed_before_anything_runs(cells, tmp_path, forgotten):
    resolved = resolve(cells[2])
    forgotten()
    with pytest.raises(
        ValueError,
        match=f"image: no input picture {cells[2].image}.*run with the store that has it",
    ):
        run([BASE, resolved], tmp_path)
    with pytest.raises(ValueError, match="request 1 of 2: no input picture"):
        run([BASE, cells[0]], tmp_path)
    assert not (tmp_path / "images").exists()


def test_inputs_that_are_gone_or_changed_are_found_by_a_check(finished):
    store, frame = finished
    image, mask = frame["image"][2], frame["mask_image"][2]
    Image.fromarray(GREY).save(store.inputs.path(image))
    store.inputs.path(mask).unlink()
    found = store.check().set_index("key")["problem"]
    assert (
        "is not the one that was kept" in found[image]
        and f"{mask} is missing" in found[frame["key"][2]]
        and len(found) == 2
    )
    with pytest.raises(FileNotFoundError, match="no input picture"):
        store.input(mask)


def test_an_input_that_was_changed_in_the_store_is_not_used(cells, finished, forgotten):
    store, _ = finished
    forgotten()
    Image.fromarray(COLOURS[::-1]).save(store.inputs.path(cells[0].image))
    error = run(cells[1].but(strength=0.75), store.root)["error"][0]
    assert "is not the picture that it was" in error


def test_code_and_text_name_the_inputs_and_the_code_runs(finished, forgotten):
    _, frame = finished
    said = read_infotext(Image.open(frame["path"][2]).info["parameters"])
    assert (
        said["image"] == frame["image"][2]
        and said["mask_image"] == frame["mask_image"][2]
        and said["strength"] == 1.0
    )
    assert "Denoising strength: 0.5" in write_infotext(
        read_record(frame["path"][0])["request"], "1"
    )
    forgotten()
    code = write_results_code(frame)
    assert f"Store('drawing').input('{frame['image'][0]}')" in code
    space = {}
    exec(code, space)
    assert space["results"]["key"].tolist() == frame["key"].tolist()


def test_the_strength_of_a_second_pass_is_not_taken_for_that_of_a_request():
    said = read_infotext(
        "a cat\nSteps: 20, Sampler: DDIM, Seed: 1, Denoising strength: 0.7, Hires upscale: 2"
    )
    assert "strength" not in said and said["Denoising strength"] == "0.7"
    assert (
        read_infotext("a cat\nSteps: 20, Sampler: DDIM, Seed: 1, Denoising strength: 0.7")[
            "strength"
        ]
        == 0.7
    )


def test_a_half_finished_step_count_costs_half(tmp_path):
    store = Store(tmp_path)
    base = resolve(BASE.but(num_inference_steps=20, image=COLOURS, strength=0.5))
    store.save(base, Image.fromarray(COLOURS), {"seconds": 4.0})
    like = dict(weights=base.weights, height=64, width=64)
    assert (
        store.seconds(num_inference_steps=20, **like) == 8
        and store.seconds(num_inference_steps=10, **like) == 4
    )
    cells = sweep(base.but(seed=1), strength=[0.25, 1])
    assert preview(cells[1], store).seconds == pytest.approx(4 * preview(cells[0], store).seconds)


def test_a_request_with_a_picture_loads_no_network():
    code = (
        "import sys, numpy; from sdlab import Request; Request(image=numpy.zeros((8, 8, 3), 'uint8')); "
        "print(sorted({'torch', 'diffusers', 'pandas'} & set(sys.modules)))"
    )
    assert (
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip()
        == "[]"
    )


# Sizes


def test_stretched_inputs_are_spoken_of_once_in_a_plan(tmp_path):
    wide = sweep(BASE.but(image=COLOURS[:32], height=64, width=64), seed=range(3))
    with pytest.warns(
        UserWarning, match="image has 64x32 pixels and is stretched to 64x64.* by 100%"
    ) as caught:
        plan(wide, Store(tmp_path))
    assert len(caught) == 1 and Path(caught[0].filename) == Path(__file__)


@pytest.mark.parametrize(
    ("height", "width", "said"),
    [
        (64, 64, None),
        (64, 96, None),
        (32, 64, None),
        (128, 128, "has learned pictures of 64x64; at 128x128 expect the same thing several"),
        (40, 40, "expect parts of things"),
        (24, 96, "expect parts of things"),
    ],
)
def test_a_size_far_from_the_native_one_is_spoken_of(tmp_path, height, width, said):
    cell = BASE.but(height=height, width=width)
    if said is None:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            plan([cell], Store(tmp_path))
    else:
        with pytest.warns(UserWarning, match=said):
            plan([cell], Store(tmp_path))


def test_a_size_of_the_input_picture_is_said_with_what_brings_it_to_the_learned_one(tmp_path):
    with pytest.warns(UserWarning, match=r"fit_picture\(image, \(64, 64\)\)"):
        preview(BASE.but(image=COLOURS.repeat(4, 0).repeat(4, 1)), tmp_path)


def test_cells_of_several_tasks_share_a_plan_but_no_batch(cells, tmp_path):
    groups = plan(cells, Store(tmp_path)).groups
    assert (
        sorted(len(group) for group in groups) == [1, 1, 1, 1]
        and MODELS["tiny-v1"].task == "txt2img"
    )
