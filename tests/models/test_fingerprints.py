"""Only what decides a picture enters a fingerprint; what earlier versions counted is still recognised."""

import hashlib
import json
import os
import shutil
from pathlib import Path

import pytest

from sdlab import Model, Request, Store, preview, resolve, run
from sdlab.errors import FieldError
from sdlab.models.fingerprint import fingerprint_files, fingerprint_model
from sdlab.models.parts import find_vae
from sdlab.models.resolve import native

COUNTED = (".safetensors", ".bin", ".json", ".txt")


def as_before(folder, parts=("scheduler", "text_encoder", "tokenizer", "unet", "vae")):
    """The fingerprint of sdlab 0.1.0: each byte of each such file below a part's folder."""
    total = hashlib.sha256()
    files = [file for part in parts for file in (folder / part).rglob("*")]
    for file in sorted(file for file in files if file.suffix in COUNTED):
        content = file.read_bytes()
        total.update(f"{file.relative_to(folder).as_posix()} {len(content)}\n".encode())
        total.update(hashlib.sha256(content).digest())
    return total.hexdigest()[:32]


def edit(file, **changes):
    stated = json.loads(file.read_text()) | changes
    file.unlink()
    file.write_text(json.dumps({name: stated[name] for name in reversed(stated)}))


@pytest.fixture
def folder(random_v1, tmp_path):
    """A model as of 2022, saved by other versions than are here."""
    folder = shutil.copytree(random_v1, tmp_path / "model", copy_function=os.link)
    for part in ("unet/config.json", "vae/config.json", "scheduler/scheduler_config.json"):
        edit(folder / part, _diffusers_version="0.6.0", _name_or_path="./here")
    edit(folder / "text_encoder/config.json", transformers_version="4.21.0")
    return folder


def add(name):
    def change(folder):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(b"{}" * 2000)

    return change


def renew(file, **changes):
    return lambda folder: edit(folder / file, **changes)


def write_over(name):
    def change(folder):
        content = (folder / name).read_bytes()
        (folder / name).unlink()
        (folder / name).write_bytes(content[:-1] + bytes([content[-1] ^ 1]))

    return change


@pytest.mark.parametrize(
    "change",
    [
        add("unet/diffusion_pytorch_model.fp16.safetensors"),
        add("unet/diffusion_pytorch_model.bin"),
        add("text_encoder/pytorch_model.bin"),
        add("text_encoder/flax.json"),
        add("vae/old/diffusion_pytorch_model.safetensors"),
        add("tokenizer/notes.txt"),
        renew("unet/config.json", _diffusers_version="0.42.1", _commit="x"),
        renew("vae/config.json", _name_or_path="there", _diffusers_version="0.1.0"),
        renew("text_encoder/config.json", transformers_version="5.0.0", _name_or_path="x"),
        renew("scheduler/scheduler_config.json", _use_default_values=["x"]),
    ],
)
def test_what_decides_no_picture_changes_no_key(folder, change):
    before = fingerprint_model(Model(path=folder))
    assert as_before(folder) != (change(folder) or as_before(folder))
    assert fingerprint_model(Model(path=folder)) == before


@pytest.mark.parametrize(
    "change",
    [
        write_over("unet/diffusion_pytorch_model.safetensors"),
        write_over("text_encoder/model.safetensors"),
        write_over("tokenizer/tokenizer_config.json"),
        renew("unet/config.json", sample_size=16),
        renew("vae/config.json", scaling_factor=0.2),
        renew("scheduler/scheduler_config.json", _class_name="DDIMScheduler"),
    ],
)
def test_what_decides_pictures_changes_the_key(folder, change):
    before = fingerprint_model(Model(path=folder))
    change(folder)
    assert fingerprint_model(Model(path=folder)) != before


def test_todays_libraries_save_what_counts_as_it_was(random_v1):
    assert fingerprint_model(Model(path=random_v1)) == as_before(random_v1)


def test_a_vae_counts_without_its_notes_too(folder, random_v1):
    renew("vae/config.json", scaling_factor=0.18215)(folder)
    prints = [
        fingerprint_files(find_vae(str(each), random_v1).files) for each in (folder, random_v1)
    ]
    assert prints[0] == prints[1]


def asked(folder, **fields):
    return Request(model=str(folder), prompt="a cat", num_inference_steps=1, **fields)


@pytest.fixture(scope="module")
def vae(tmp_path_factory):
    """Another VAE, of an older version."""
    from conftest import write_pipeline

    folder = write_pipeline(tmp_path_factory.mktemp("vae") / "other", seed=1) / "vae"
    edit(folder / "config.json", _diffusers_version="0.6.0")
    return str(folder)


@pytest.mark.parametrize("swapped", [False, True])
def test_a_store_of_an_earlier_version_has_nothing_to_render_again(folder, vae, tmp_path, swapped):
    cell = asked(folder, vae=vae if swapped else None)
    weights = as_before(folder)
    if swapped:
        config = (Path(vae) / "config.json").read_bytes()
        file = next(Path(vae).glob("*.safetensors"))
        total = hashlib.sha256()
        for name, content in (("config.json", config), (file.name, file.read_bytes())):
            total.update(f"{name} {len(content)}\n".encode() + hashlib.sha256(content).digest())
        said = json.dumps([weights, total.hexdigest()[:32], [], []])
        weights = hashlib.sha256(said.encode()).hexdigest()[:32]
    (row,) = run(cell.but(weights=weights), tmp_path / "s", progress=False).itertuples()
    assert row.weights == weights != resolve(cell).weights and row.path
    assert preview(cell, tmp_path / "s").todo == 0
    assert run(cell, tmp_path / "s", progress=False).key[0] == row.key
    add("unet/diffusion_pytorch_model.fp16.safetensors")(folder)
    assert preview(cell, tmp_path / "s").todo == 0 and len(Store(tmp_path / "s").frame()) == 1
    assert preview(cell, tmp_path / "new").todo == 1
    assert preview([cell.but(weights=weights), cell], tmp_path / "s").todo == 0


def test_a_request_for_an_earlier_versions_fingerprint_is_taken_and_others_are_not(folder):
    old = as_before(folder)
    assert native(str(folder)).weights != old
    assert resolve(asked(folder, weights=old)).weights == old
    with pytest.raises(FieldError, match="the request was made for"):
        resolve(asked(folder, weights="0" * 32))
