"""LoRAs of all layouts act as the merged model does: the correction of each weight is computed by NumPy."""

import copy
import json

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from sdlab import Request, preview, run
from sdlab.errors import FieldError
from sdlab.models.pipeline import load, unload
from sdlab.models.resolve import native, resolve, swap_parts

BLOCK = "down_blocks.0.attentions.0"
ATTENTION = [f"{BLOCK}.transformer_blocks.0.attn{n}.to_{each}" for n in (1, 2) for each in "qkv"]
ATTENTION += [f"{BLOCK}.transformer_blocks.0.attn1.to_out.0"]
WIDE = [f"{BLOCK}.proj_in", f"{BLOCK}.transformer_blocks.0.ff.net.0.proj", "conv_in"]
WIDE += ["down_blocks.0.resnets.0.conv1", "down_blocks.0.resnets.0.time_emb_proj"]
WIDE += ["down_blocks.0.downsamplers.0.conv", "time_embedding.linear_1"]
TEXT = [
    f"encoder.layers.0.{each}" for each in ("self_attn.q_proj", "self_attn.out_proj", "mlp.fc1")
]


@pytest.fixture(scope="module")
def pipe(random_v1):
    """diffusers' own pipeline, whose weights a test may change and puts back."""
    from diffusers import StableDiffusionPipeline

    found = StableDiffusionPipeline.from_pretrained(random_v1, local_files_only=True)
    yield found
    unload()


@pytest.fixture
def base(random_v1):
    quiet = "PNDMScheduler(timestep_spacing='trailing')"  # which a single step fits
    return Request(model=str(random_v1), prompt="the cat", num_inference_steps=1, scheduler=quiet)


def modules(pipe):
    return {
        (part, name.removeprefix("text_model.")): module
        for part in ("unet", "text_encoder")
        for name, module in getattr(pipe, part).named_modules()
    }


@torch.no_grad()
def outputs(pipe):
    """What UNet and text encoder put out for fixed inputs, one after the other."""
    draw = torch.Generator().manual_seed(5)
    text = pipe.text_encoder(torch.tensor([[1, 2, 3, 4]]))[0]
    sample = torch.randn(1, 4, 8, 8, generator=draw)
    return torch.cat([text.flatten(), pipe.unet(sample, 500, 8 * text).sample.flatten()])


def merged(pipe, changes):
    """The outputs with {(part, layer): correction} added to the weights."""
    weights = {key: modules(pipe)[key].weight for key in changes}
    before = {key: weight.detach().clone() for key, weight in weights.items()}
    with torch.no_grad():
        for key, change in changes.items():
            weights[key] += torch.from_numpy(change).float()
        found = outputs(pipe)
        for key in changes:
            weights[key].copy_(before[key])
    return found


def acts_as(request, pipe, changes):
    """Whether the request's LoRAs act as those corrections, and these visibly."""
    own = swap_parts(native(request.model), request)
    found, expected, plain = (
        outputs(load(own, "cpu", "float32").pipe),
        merged(pipe, changes),
        outputs(pipe),
    )
    assert (expected - plain).abs().max() > 1e-2
    return float((found - expected).abs().max()) < 2e-4 * float(expected.abs().max())


# What NumPy makes of the matrices: {what the tensor is called: matrix}, correction (outputs, inputs, ...)


def drawn(rng, *shape):
    return rng.standard_normal(shape) / 3


def pair(rng, shape, r=2):
    """up @ down, as LoRA and LoCon have it."""
    down, up = drawn(rng, r, *shape[1:]), drawn(rng, shape[0], r)
    change = (up @ down.reshape(r, -1)).reshape(shape)
    return {"down": down, "up": up.reshape(shape[0], r, *[1] * (len(shape) - 2))}, change, r


def tucker(rng, shape, r=3):
    down, mid, up = drawn(rng, r, shape[1]), drawn(rng, r, r, *shape[2:]), drawn(rng, shape[0], r)
    point = [1] * (len(shape) - 2)
    change = np.einsum("on,nm...,mi->oi...", up, mid, down)
    named = {"down": down.reshape(r, -1, *point), "mid": mid, "up": up.reshape(-1, r, *point)}
    return named, change, r


def hada(rng, shape, r=2):
    ins = int(np.prod(shape[1:]))
    a, b, c, d = (drawn(rng, *each) for each in ((shape[0], r), (r, ins)) * 2)
    named = {"hada_w1_a": a, "hada_w1_b": b, "hada_w2_a": c, "hada_w2_b": d}
    return named, ((a @ b) * (c @ d)).reshape(shape), r


def hada_tucker(rng, shape, r=2):
    a, b, c, d = (drawn(rng, r, each) for each in shape[:2] * 2)
    one, two = drawn(rng, r, r, *shape[2:]), drawn(rng, r, r, *shape[2:])
    change = np.einsum("ij...,io,jn->on...", one, a, b) * np.einsum("ij...,io,jn->on...", two, c, d)
    named = {"hada_w1_a": a, "hada_w1_b": b, "hada_w2_a": c, "hada_w2_b": d}
    return named | {"hada_t1": one, "hada_t2": two}, change, r


def kron(shape, one, two):
    """The Kronecker product of one (a, b) and two (c, d, ...), element by element."""
    full = np.einsum("ab,cd...->acbd...", one, two)
    return full.reshape(shape)


def lokr(rng, shape, r=2, *, first=False, second=False, core=False):
    a, b = 2, 4 if shape[1] % 4 == 0 else 2
    c, d = shape[0] // a, shape[1] // b
    one, two = drawn(rng, a, b), drawn(rng, c, d, *shape[2:])
    named = {"lokr_w1": one, "lokr_w2": two}
    if first:
        x, y = drawn(rng, a, r), drawn(rng, r, b)
        one, named = x @ y, {"lokr_w1_a": x, "lokr_w1_b": y, "lokr_w2": two}
    if second:
        x, y = drawn(rng, c, r), drawn(rng, r, d * int(np.prod(shape[2:])))
        two = (x @ y).reshape(c, d, *shape[2:])
        named = {key: t for key, t in named.items() if key != "lokr_w2"} | {
            "lokr_w2_a": x,
            "lokr_w2_b": y,
        }
    if core:
        t, x, y = drawn(rng, r, r, *shape[2:]), drawn(rng, r, c), drawn(rng, r, d)
        two = np.einsum("ij...,ic,jd->cd...", t, x, y)
        named = {"lokr_w1": one, "lokr_t2": t, "lokr_w2_a": x, "lokr_w2_b": y}
    return named, kron(shape, one, two), r if first or second or core else None


def all_lokr(rng, shape):
    """The four forms, one after the other."""
    form = [{}, {"first": True}, {"second": True}, {"first": True, "second": True}][
        int(rng.integers(4))
    ]
    return lokr(rng, shape, **form)


FORMS = {
    "LoCon": (pair, ATTENTION + WIDE + TEXT),
    "LoCon, Tucker": (tucker, [name for name in WIDE if "conv" in name]),
    "LoHa": (hada, ATTENTION + WIDE + TEXT),
    "LoHa, Tucker": (hada_tucker, [name for name in WIDE if "conv" in name]),
    "LoKr": (all_lokr, ATTENTION + WIDE + TEXT),
    "LoKr, Tucker": (lambda *given: lokr(*given, core=True), [n for n in WIDE if "conv" in n]),
}


def part_of(name):
    return "text_encoder" if name.startswith("encoder") else "unet"


def write(path, pipe, make, names, call, alpha=None):
    """Writes a LoRA whose tensors are called `call(part, layer, matrix)`; {(part, layer): correction}."""
    rng, changes, weights = np.random.default_rng(3), {}, {}
    for n, name in enumerate(names):
        key = part_of(name), name
        named, change, r = make(rng, tuple(modules(pipe)[key].weight.shape))
        if alpha is not None and n % 3:  # and some without
            named["alpha"] = np.array(alpha + n)
            change = change * ((alpha + n) / r if r else 1)
        changes[key] = change
        weights |= {call(*key, matrix): torch.tensor(t).float() for matrix, t in named.items()}
    save_file(weights, path) if path.suffix == ".safetensors" else torch.save(weights, path)
    return changes


def as_kohya(part, name, matrix):
    matrix = f"lora_{matrix}.weight" if matrix in ("down", "up", "mid") else matrix
    return f"lora_{'unet' if part == 'unet' else 'te_text_model'}_{name.replace('.', '_')}.{matrix}"


def as_lycoris(part, name, matrix):
    """As LyCORIS writes it without kohya's scripts."""
    return as_kohya("unet", name, matrix).replace("lora_unet_", "lycoris_")


def as_peft(part, name, matrix):
    text = "text_model." * (part != "unet")
    return f"base_model.model.{text}{name}." + dict(down="lora_A.weight", up="lora_B.weight").get(
        matrix, matrix
    )


def as_early(part, name, matrix):
    """As diffusers wrote it before summer 2023: UNets without a name in front, in processors."""
    if part != "unet":
        return f"text_encoder.text_model.{name}.lora_linear_layer.{matrix}.weight"
    place, layer = name.removesuffix(".0").rsplit(".", 1)
    return f"{place}.processor.{layer}_lora.{matrix}.weight"


def as_summer(part, name, matrix):
    """As diffusers wrote it in summer 2023."""
    if part != "unet":
        name = name.replace("q_proj", "to_q").replace("out_proj", "to_out")
        return f"text_encoder.text_model.{name}_lora.{matrix}.weight"
    return f"unet.{name}.lora.{matrix}.weight"


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("alpha", [None, 1.5])
def test_what_lycoris_writes_acts_as_its_formula_says(pipe, base, tmp_path, form, alpha):
    changes = write(tmp_path / "a.safetensors", pipe, *FORMS[form], as_kohya, alpha)
    assert acts_as(base.but(lora=str(tmp_path / "a.safetensors")), pipe, changes)


@pytest.mark.parametrize(
    ("call", "name", "names"),
    [
        (as_early, "a.bin", ATTENTION + TEXT),
        (as_early, "a.safetensors", ATTENTION),
        (as_summer, "a.safetensors", ATTENTION + TEXT[:2]),
        (as_kohya, "a.pt", ATTENTION + TEXT),
        (as_lycoris, "a.safetensors", ATTENTION + WIDE),
    ],
)
def test_earlier_layouts_act_as_their_matrices_say(pipe, base, tmp_path, call, name, names):
    changes = write(tmp_path / name, pipe, pair, names, call)
    assert acts_as(
        base.but(lora=f"{tmp_path / name}@0.5"), pipe, {key: t / 2 for key, t in changes.items()}
    )


@pytest.mark.parametrize("names", [ATTENTION + WIDE, TEXT])
@pytest.mark.parametrize(
    ("stated", "factor"),
    [({"lora_alpha": 3}, 1.5), ({"lora_alpha": 3, "use_rslora": True}, 3 / 2**0.5)],
)
def test_pefts_own_layout_has_the_scale_of_its_configuration(
    pipe, base, tmp_path, names, stated, factor
):
    changes = write(tmp_path / "adapter_model.safetensors", pipe, pair, names, as_peft)
    special = {names[0].split(".", 1)[1]: 7}  # the end of one layer's name
    (tmp_path / "adapter_config.json").write_text(
        json.dumps(stated | {"r": 2, "alpha_pattern": special})
    )
    factors = {key: factor * (7 / 3 if key[1] == names[0] else 1) for key in changes}
    cell = base.but(lora=str(tmp_path / "adapter_model.safetensors"))
    assert acts_as(cell, pipe, {key: change * factors[key] for key, change in changes.items()})
    before = resolve(cell).key
    (tmp_path / "adapter_config.json").write_text(json.dumps(stated | {"r": 2}))
    assert resolve(cell).key != before


def test_pefts_own_layout_without_its_scale_is_warned_of(pipe, base, tmp_path):
    changes = write(tmp_path / "adapter_model.safetensors", pipe, pair, ATTENTION, as_peft)
    cell = base.but(lora=str(tmp_path / "adapter_model.safetensors"))
    assert acts_as(cell, pipe, changes)
    with pytest.warns(UserWarning, match="no adapter_config.json is beside it .* taken to be 1"):
        assert "lora" in preview(cell, tmp_path / "store").notes
    (tmp_path / "adapter_config.json").write_text('{"r": 2, "lora_alpha": 2}')
    assert not preview(cell, tmp_path / "store").notes


@pytest.mark.parametrize(
    ("stated", "says"),
    [
        ('{"r": 2, "lora_alpha": 0}', "7 of the 7 layers .* stay as they are, because its alpha"),
        ('{"r": 2, "init_lora_weights": "pissa_niter_4"}', "changes the model's own weights too"),
        ("{", "not readable as JSON"),
    ],
)
@pytest.mark.filterwarnings("error::UserWarning")
def test_what_a_configuration_of_peft_states_is_heeded_before_the_run(
    pipe, base, tmp_path, stated, says
):
    write(tmp_path / "adapter_model.safetensors", pipe, pair, ATTENTION, as_peft)
    (tmp_path / "adapter_config.json").write_text(stated)
    with pytest.raises((UserWarning, FieldError), match=says):
        preview(base.but(lora=str(tmp_path / "adapter_model.safetensors")), tmp_path / "store")


def test_pefts_lokr_is_scaled_by_its_configuration(pipe, base, tmp_path):
    changes = write(tmp_path / "adapter_model.safetensors", pipe, lokr, ATTENTION, as_peft)
    (tmp_path / "adapter_config.json").write_text(
        json.dumps({"peft_type": "LOKR", "r": 4, "alpha": 6})
    )
    cell = base.but(lora=str(tmp_path / "adapter_model.safetensors"))
    assert acts_as(cell, pipe, {key: 1.5 * change for key, change in changes.items()})


KINDS = {
    "LoRA": dict(r=2, lora_alpha=5, alpha_pattern={"to_v": 3}, rank_pattern={"conv1": 4}),
    "LoHa": dict(r=2, alpha=5, use_effective_conv2d=True),
    "LoKr": dict(r=2, alpha=5, decompose_factor=4, decompose_both=True),
}


@pytest.mark.parametrize("kind", KINDS)
def test_what_peft_itself_saved_is_read(pipe, base, tmp_path, kind):
    import peft

    config = getattr(peft, {"LoRA": "Lora"}.get(kind, kind) + "Config")
    targets = ["to_q", "to_v", "conv1"]
    unet = peft.get_peft_model(
        copy.deepcopy(pipe.unet), config(target_modules=targets, **KINDS[kind])
    )
    draw = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for weight in (each for each in unet.parameters() if each.requires_grad):
            weight.copy_(torch.randn(weight.shape, generator=draw) / 4)
    unet.save_pretrained(tmp_path)
    changes = {
        ("unet", name): module.get_delta_weight("default").detach().numpy()
        for name, module in unet.base_model.model.named_modules()
        if hasattr(module, "get_delta_weight")
    }
    assert len(changes) > 20
    assert acts_as(base.but(lora=str(tmp_path / "adapter_model.safetensors")), pipe, changes)


def test_what_diffusers_itself_saved_is_read_with_its_scale(pipe, base, tmp_path):
    changes = write(
        tmp_path / "a.safetensors",
        pipe,
        pair,
        ATTENTION,
        lambda *given: f"unet.{as_peft(*given)[17:]}",
    )
    weights = load_file(tmp_path / "a.safetensors")
    notes = {"unet.r": 2, "unet.lora_alpha": 5}
    save_file(
        weights,
        tmp_path / "a.safetensors",
        {"format": "pt", "lora_adapter_metadata": json.dumps(notes)},
    )
    cell = base.but(lora=str(tmp_path / "a.safetensors"))
    assert acts_as(cell, pipe, {key: 2.5 * change for key, change in changes.items()})


# Two of them


def test_two_loras_act_together_whatever_was_loaded_before(pipe, base, tmp_path):
    paths = [tmp_path / f"{name}.safetensors" for name in "ab"]
    one = write(paths[0], pipe, pair, ATTENTION + TEXT, as_kohya, 1.5)
    two = write(paths[1], pipe, hada, ATTENTION + WIDE, as_kohya)
    both = {key: one.get(key, 0) - 0.5 * two.get(key, 0) for key in {*one, *two}}
    cell = base.but(lora=f"{paths[0]}, {paths[1]}@-0.5")
    turned = base.but(lora=f"{paths[1]}@-0.5, {paths[0]}")
    assert resolve(cell).key != resolve(turned).key  # whose last bits differ
    assert acts_as(cell, pipe, both)
    first = outputs(load(swap_parts(native(base.model), cell), "cpu", "float32").pipe)
    assert acts_as(base.but(lora=str(paths[1])), pipe, two)
    assert acts_as(turned, pipe, both)
    assert torch.equal(
        first, outputs(load(swap_parts(native(base.model), cell), "cpu", "float32").pipe)
    )


def test_weights_are_frozen_before_a_lora_as_after_it(pipe, base, tmp_path):
    """torch multiplies by another kernel where a weight wants a gradient, without one, too."""
    write(tmp_path / "a.safetensors", pipe, pair, ATTENTION, as_peft)
    unload()
    for cell in (base, base.but(lora=str(tmp_path / "a.safetensors")), base):
        found = load(swap_parts(native(base.model), cell), "cpu", "float32").pipe
        for name, network in (("unet", found.unet), ("text_encoder", found.text_encoder)):
            weights = dict(network.named_parameters())
            own = [key for key, each in weights.items() if each.requires_grad]
            assert len(weights) > 20 and all("lora_" in key for key in own), name


def test_one_lora_under_two_names_is_refused(pipe, base, tmp_path):
    for name in "ab":
        write(tmp_path / f"{name}.safetensors", pipe, pair, ATTENTION, as_kohya)
    with pytest.raises(FieldError, match="two of these files are the same.*sum") as raised:
        resolve(base.but(lora=f"{tmp_path}/a.safetensors, {tmp_path}/b.safetensors"))
    assert raised.value.field == "lora"


# What does nothing is said, what is not read is refused by its name


def changed_file(tmp_path, pipe, more=(), alpha=None, change=lambda weights: None):
    write(tmp_path / "a.safetensors", pipe, pair, ATTENTION + TEXT, as_kohya, alpha)
    weights = load_file(tmp_path / "a.safetensors") | dict(more)
    change(weights)
    save_file(weights, tmp_path / "a.safetensors")
    return str(tmp_path / "a.safetensors")


NOWHERE = {f"lora_unet_nowhere.lora_{each}.weight": torch.ones(2, 2) for each in ("down", "up")}


def test_layers_that_the_model_lacks_are_counted_and_the_others_act(pipe, base, tmp_path):
    cell = base.but(lora=changed_file(tmp_path, pipe, NOWHERE))
    changes = write(tmp_path / "b.safetensors", pipe, pair, ATTENTION + TEXT, as_kohya)
    assert acts_as(cell, pipe, changes)
    with pytest.warns(
        UserWarning, match=r"1 of its 11 layers do nothing, .* lacks them \(nowhere\)"
    ):
        assert "1 of its 11" in preview(cell, tmp_path / "store").notes["lora"]


def test_a_lora_for_no_layer_of_the_model_is_refused_before_the_run(pipe, base, tmp_path):
    save_file(NOWHERE, tmp_path / "a.safetensors")
    with pytest.raises(FieldError, match="changes 1 layers, and this model has none") as raised:
        run(base.but(lora=str(tmp_path / "a.safetensors")), tmp_path / "store", progress=False)
    assert raised.value.field == "lora"


@pytest.mark.parametrize("matrix", ["alpha", "lora_up.weight"])
def test_corrections_of_nothing_are_said(pipe, base, tmp_path, matrix):
    def change(weights):
        for name in weights:
            if name.endswith(matrix):
                weights[name] = torch.zeros_like(weights[name])

    cell = base.but(lora=changed_file(tmp_path, pipe, alpha=1, change=change))
    idle = {"alpha": "6", "lora_up.weight": "10"}[matrix]
    with pytest.warns(
        UserWarning, match=f"{idle} of the 10 layers that it changes stay as they are"
    ):
        preview(cell, tmp_path / "store")


@pytest.mark.parametrize(
    ("down", "up"),
    [
        ((2, 7), (64, 2)),
        ((2, 64), (64, 3)),
        ((2, 64), (2, 64)),  # lies the wrong way, and has as many numbers
    ],
)
def test_matrices_of_another_shape_are_refused_before_the_run(pipe, base, tmp_path, down, up):
    name = "lora_unet_mid_block_attentions_0_proj_in.lora_"
    wrong = {f"{name}down.weight": torch.ones(down), f"{name}up.weight": torch.ones(up)}
    with pytest.raises(FieldError, match="made for another model: its matrices of mid_block"):
        preview(base.but(lora=changed_file(tmp_path, pipe, wrong)), tmp_path / "store")


LAYER = "lora_unet_mid_block_attentions_0_proj_in"


@pytest.mark.parametrize(
    ("names", "says"),
    [
        ([f"{LAYER}.lora_down.weight", f"{LAYER}.lora_up.weight", f"{LAYER}.dora_scale"], "a DoRA"),
        (["unet:0:up", "unet:0:down"], "cloneofsimo"),
        ([f"{LAYER}.oft_blocks"], "OFT"),
        (["mid_block.attn2.processor.to_k_custom_diffusion.weight"], "Custom Diffusion"),
        (["lora_te2_text_model_x.lora_down.weight"], "SDXL, which has two text encoders"),
        ([f"{LAYER}.weight", f"{LAYER}.on_input"], "multiplies what layers put out"),
        ([f"{LAYER}.a1.weight"], "GLoRA"),
        ([f"{LAYER}.diff"], "full, which holds whole weights"),
        (
            [
                "base_model.model.mid_block.proj.lora_A.weight",
                "base_model.model.mid_block.proj.lora_B.bias",
            ],
            "biases",
        ),
        (
            [f"{LAYER}.lora_down.weight"],
            "not whole: of mid_block_attentions_0_proj_in it has down alone",
        ),
        ([f"{LAYER}.hada_w1_a", f"{LAYER}.hada_w1_b"], "not whole"),
    ],
)
def test_what_is_not_read_is_refused_by_the_name_of_its_kind(base, tmp_path, names, says):
    save_file({name: torch.ones(2, 2) for name in names}, tmp_path / "a.safetensors")
    with pytest.raises(FieldError, match=f"lora: .*{says}") as raised:
        resolve(base.but(lora=str(tmp_path / "a.safetensors")))
    assert raised.value.field == "lora"


def test_the_list_of_cloneofsimos_first_trainer_is_refused_by_its_name(base, tmp_path):
    torch.save([torch.ones(2, 2)] * 4, tmp_path / "a.pt")
    with pytest.raises(ValueError, match="cloneofsimo's trainer, which numbers its layers"):
        resolve(base.but(lora=str(tmp_path / "a.pt")))
