"""What the autoencoder alone keeps of a picture: against diffusers' own encoding and decoding."""

import numpy as np
import pytest
from PIL import Image

from sdlab import measure, stats
from sdlab.models.resolve import find
from sdlab.models.rows import MODELS
from training.ceiling import autoencode_frame, draw_renders, draw_signs


def read(path):
    return np.asarray(Image.open(path).convert("RGB")).astype(int)


@pytest.fixture(scope="module", params=["tiny-v1", "tiny-v2"])
def both(request, tmp_path_factory):
    top = tmp_path_factory.mktemp(request.param)
    drawn = draw_renders(top / "drawn", request.param, 6)
    return autoencode_frame(drawn, top / "decoded", model=request.param)


def test_pictures_are_encoded_and_decoded_as_diffusers_does(both):
    import torch
    from diffusers import AutoencoderKL

    name = both["model"][0]
    assert name in MODELS
    vae = AutoencoderKL.from_pretrained(find(name).path, subfolder="vae")
    for before, after in both["path"].to_numpy().reshape(2, 6).T:
        with torch.inference_mode():
            x = torch.from_numpy(read(before)).permute(2, 0, 1)[None] / 127.5 - 1
            y = vae.decode(vae.encode(x).latent_dist.mean).sample[0].permute(1, 2, 0)
        assert np.abs(read(after) - ((y.clamp(-1, 1) + 1) * 127.5).numpy()).max() < 0.51


def test_each_picture_stands_in_both_arms_with_its_prompt(both):
    assert both["arm"].tolist() == ["as drawn"] * 6 + ["autoencoded"] * 6
    assert both["prompt"].tolist() == both["wording"].tolist() == both["prompt"].tolist()[:6] * 2
    assert both["path"].nunique() == 12 and set(both["kind"]) <= {"one", "pair", "count"}


def test_the_arms_are_scored_and_compared_like_any_other(both):
    rates = stats.rate(measure(both, "objects"), "objects_right", by="arm")
    assert rates["n"].tolist() == [6, 6] and rates["share"].min() > 0.8


def test_signs_have_letters_of_the_heights_that_are_asked_for(tmp_path):
    frame = draw_signs(tmp_path, ["NO WAR", "OPEN"], heights=(12, 48), side=256)
    assert frame["letter_height"].tolist() == [12, 48, 12, 48]
    assert frame["prompt"][0] == 'a sign that says "NO WAR"'
    for path, height in zip(frame["path"], frame["letter_height"]):
        rows = np.flatnonzero((read(path) < 128).all(-1).any(1))
        assert 0.5 * height < np.ptp(rows) + 1 < height  # capitals: about seven tenths
        assert abs(rows.mean() - 128) < 0.25 * height


def test_a_model_without_a_world_of_its_own_is_refused(tmp_path):
    with pytest.raises(ValueError, match="'sd-v1-5' has no world to draw.*tiny-v1, tiny-v2"):
        draw_renders(tmp_path, "sd-v1-5")


def test_cells_that_failed_are_left_out(tmp_path):
    drawn = draw_renders(tmp_path / "a", "tiny-v1", 2)
    drawn.loc[0, "path"] = None
    assert len(autoencode_frame(drawn, tmp_path / "b", model="tiny-v1")) == 2
