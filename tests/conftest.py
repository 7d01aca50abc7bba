"""Small pipelines of the real layout with random weights, and a store's worth of comfort for the tests."""

import gc
import json
import os
import random
import threading

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # libgomp spins when other work takes a core
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # the other cores have their own tests

import pytest

MERGES = ["t h", "th e</w>", "c a", "ca t</w>", "d o", "do g</w>"]
NOISE = dict(
    beta_start=0.00085,
    beta_end=0.012,
    beta_schedule="scaled_linear",
    num_train_timesteps=1000,
    set_alpha_to_one=False,
    steps_offset=1,
)


LONGEST = (  # parts of test ids in the order in which their groups begin; what is not named is short
    "tests/browser/",
    *(f"leaves_a_report[{name}_" for name in ("08", "03", "01", "06", "05", "07")),
    *("test_embedded_model.py", "test_cluster.py", "test_run.py", "test_kill.py", "test_memory.py"),
    *("leaves_a_report[", "test_widget_form.py", "test_widget_grid.py", "test_stock.py"),
    *("test_widget_inspector.py", "test_widget_form_hand.py", "test_watermark_detector.py"),
    *("test_packaging.py", "test_notebooks.py", "test_checkpoints.py", "test_sdxl.py"),
    *(
        "test_watch.py",
        "test_stats.py",
        "test_inside.py",
        "test_widget_compare.py",
        "test_loras.py",
    ),
    *("test_tasks.py", "test_card.py", "test_memory_footprint.py", "test_watermark_attacks.py"),
)


def pytest_collection_modifyitems(items):
    """The longest tests begin first, so that no process is at one of them when the others are done."""
    items.sort(key=rank)


def pytest_collection_finish(session):
    """The collector need not look, again and again, at what all tests have imported."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True, scope="module")
def what_stays_is_not_looked_at():
    """Nor at what a file of tests leaves behind: libraries, most of all."""
    yield
    gc.collect()
    gc.freeze()


def rank(item):
    """The place among `LONGEST`."""
    return next((n for n, part in enumerate(LONGEST) if part in item.nodeid), len(LONGEST))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers(config):
    """One process more than there are cores: one waits for a browser, a kernel or a worker."""
    return (os.cpu_count() or 1) + 1


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """Gives each process whole files, whose fixtures are costly; pytest 9.2 tells xdist 3.8 of no groups."""
    from xdist.scheduler import LoadScopeScheduling

    class Files(LoadScopeScheduling):
        def _split_scope(self, nodeid):
            return group_of(nodeid)

    return Files(config, log)


def group_of(nodeid):
    """Names the tests that one process runs: all those in the browser, a file, or one notebook."""
    path = nodeid.partition("::")[0]
    if "browser/" in path:
        return "browser"
    return nodeid if path.endswith("test_notebooks.py") else path


def write_tokenizer(folder):
    """A CLIP tokenizer of 77 positions over the 256 byte symbols, "the", "cat" and "dog"."""
    plain = [b for b in range(256) if chr(b).isprintable() and b != 32]
    symbols = [chr(b) for b in plain] + [chr(256 + n) for n in range(256 - len(plain))]
    tokens = (
        symbols
        + [s + "</w>" for s in symbols]
        + [m.replace(" ", "") for m in MERGES]
        + ["<|startoftext|>", "<|endoftext|>"]
    )
    config = {
        "bos_token": "<|startoftext|>",
        "eos_token": "<|endoftext|>",
        "unk_token": "<|endoftext|>",
        "pad_token": "<|endoftext|>",
        "do_lower_case": True,
        "model_max_length": 77,
        "tokenizer_class": "CLIPTokenizer",
    }
    folder.mkdir(parents=True)
    (folder / "vocab.json").write_text(
        json.dumps({t: i for i, t in enumerate(tokens)}, ensure_ascii=False), encoding="utf-8"
    )
    (folder / "merges.txt").write_text(
        "#version: 0.2\n" + "\n".join(MERGES) + "\n", encoding="utf-8"
    )
    (folder / "tokenizer_config.json").write_text(json.dumps(config))
    return len(tokens)


def write_pipeline(folder, seed=0, channels=(32, 64, 64, 64), **more):
    """A StableDiffusionPipeline of the v1 layout (4 levels, VAE of factor 8) with random weights; pictures of 64x64."""
    import torch
    from diffusers import (
        AutoencoderKL,
        PNDMScheduler,
        StableDiffusionPipeline,
        UNet2DConditionModel,
    )
    from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

    torch.manual_seed(seed)
    words = write_tokenizer(folder / "tokenizer")
    text = CLIPTextModel(
        CLIPTextConfig(
            vocab_size=words,
            hidden_size=32,
            intermediate_size=64,
            num_hidden_layers=3,
            num_attention_heads=4,
            max_position_embeddings=77,
            projection_dim=32,
            bos_token_id=words - 2,
            eos_token_id=words - 1,
            pad_token_id=words - 1,
        )
    )
    vae = AutoencoderKL(
        latent_channels=4,
        block_out_channels=(8, 16, 16, 16),
        layers_per_block=1,
        norm_num_groups=4,
        sample_size=64,
        down_block_types=["DownEncoderBlock2D"] * 4,
        up_block_types=["UpDecoderBlock2D"] * 4,
    )
    unet = UNet2DConditionModel(
        sample_size=8,
        in_channels=4,
        out_channels=4,
        layers_per_block=1,
        block_out_channels=channels,
        norm_num_groups=8,
        down_block_types=["CrossAttnDownBlock2D"] * (len(channels) - 1) + ["DownBlock2D"],
        up_block_types=["UpBlock2D"] + ["CrossAttnUpBlock2D"] * (len(channels) - 1),
        cross_attention_dim=32,
        attention_head_dim=8,
    )
    StableDiffusionPipeline(
        vae=vae,
        unet=unet,
        text_encoder=text,
        tokenizer=CLIPTokenizer.from_pretrained(folder / "tokenizer"),
        scheduler=PNDMScheduler(skip_prk_steps=True, **NOISE),
        **{
            **dict(safety_checker=None, feature_extractor=None, requires_safety_checker=False),
            **more,
        },
    ).save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def random_v1(tmp_path_factory):
    """The folder of a small model in the layout of Stable Diffusion v1; it has learned nothing."""
    return write_pipeline(tmp_path_factory.mktemp("models") / "random-v1")


@pytest.fixture(scope="session")
def forks():
    """Makes processes that need not import the large libraries again: forks of one that has them."""
    from kernels import start_forks

    return start_forks()


@pytest.fixture
def forked_kernels(forks):
    """Kernels begin as such forks."""
    from kernels import fork_kernels

    with fork_kernels():
        yield


@pytest.fixture
def at_once(monkeypatch):
    """What workers do is done before anything else."""

    from sdlab.widgets import panel

    class Here:
        def submit(self, work, *given):
            work(*given)

    monkeypatch.setattr(panel, "workers", Here())
    monkeypatch.setattr(panel, "lookers", Here())


@pytest.fixture
def meanwhile(monkeypatch):
    """Has another thread do something while this one is in a function, the first time."""

    def begin_in(owner, name, work, *given):
        known, other = getattr(owner, name), threading.Thread(target=work, args=given)

        def call(*given_, **named):
            monkeypatch.setattr(owner, name, known)
            made = known(*given_, **named)
            other.start()
            other.join(0.5)  # it may have to wait until this thread is ready
            return made

        monkeypatch.setattr(owner, name, call)
        return other

    return begin_in


def draw_scene(*placed, ground="green"):
    """A true render of the little world: objects on a ground, each by name alone or (name, x, y)."""
    from PIL import Image

    from sdlab.tiny.scenes import paint_background
    from sdlab.tiny.sprites import draw_sprite

    picture = Image.fromarray(paint_background(random.Random(0), ground).astype("u1"))
    picture = picture.convert("RGBA")
    for each in placed:
        name, x, y = (each, 18, 18) if isinstance(each, str) else each
        picture.alpha_composite(draw_sprite(name, 28), (x, y))
    return picture.convert("RGB")
