"""Small LoRAs, textual inversions and VAEs of the published layouts, with random weights, for the models of the tests."""

import re

import torch
from safetensors.torch import load_file, save_file

LAYERS = re.compile(  # some: peft takes its time with each
    r"^(down_blocks\.0|mid_block|up_blocks\.1\.attentions\.0|encoder\.layers\.[02])\..*(attn\d\.to_(q|k|v|out\.0)|proj_(in|out)|ff\.net\.(0\.proj|2)|self_attn\.(q|k|v|out)_proj|mlp\.fc[12])$"
)


def layers(folder, part):
    """{name of a layer that LoRAs change: shape of its weight (outputs, inputs, ...)} of a model's UNet or text encoder."""
    weights = load_file(next((folder / part).glob("*.safetensors")))
    found = {
        name.removesuffix(".weight").removeprefix("text_model."): tuple(tensor.shape)
        for name, tensor in weights.items()
    }
    return {name: shape for name, shape in found.items() if LAYERS.search(name)}


def matrices(folder, parts, seed, rank=2):
    """(part, layer, down (rank, inputs, ...), up (outputs, rank, ...)) of each layer."""
    torch.manual_seed(seed)
    for part in parts:
        for name, (outputs, inputs, *kernel) in layers(folder, part).items():
            yield (
                part,
                name,
                torch.randn(rank, inputs, *kernel) / 8,
                torch.randn(outputs, rank, *kernel) / 8,
            )


def write_peft_lora(path, folder, seed=0, parts=("unet", "text_encoder")):
    """A LoRA as diffusers writes it now."""
    weights = {}
    for part, name, down, up in matrices(folder, parts, seed):
        name = f"{part}.{'text_model.' * (part != 'unet')}{name}"
        weights |= {f"{name}.lora_A.weight": down, f"{name}.lora_B.weight": up}
    save_file(weights, path)
    return path


def write_kohya_lora(path, folder, seed=0, parts=("unet", "text_encoder")):
    """A LoRA as kohya's scripts write it, which is how most are published; with an alpha other than the rank."""
    weights = {}
    for part, name, down, up in matrices(folder, parts, seed):
        name = f"lora_{'unet' if part == 'unet' else 'te_text_model'}_{name.replace('.', '_')}"
        weights |= {
            f"{name}.lora_down.weight": down,
            f"{name}.lora_up.weight": up,
            f"{name}.alpha": torch.tensor(1.0),
        }
    save_file(weights, path) if path.suffix == ".safetensors" else torch.save(weights, path)
    return path


def write_embeddings(folder, width=32):
    """Textual inversions: diffusers' two forms, and A1111's with three vectors."""
    torch.manual_seed(0)
    folder.mkdir(exist_ok=True)
    save_file({"<toy>": torch.randn(width)}, folder / "toy.safetensors")
    torch.save({"<hat>": torch.randn(2, width)}, folder / "hat.bin")
    torch.save(
        {
            "string_to_token": {"*": 265},
            "string_to_param": {"*": torch.nn.Parameter(torch.randn(3, width))},
            "name": "inkish",
            "step": 3,
            "sd_checkpoint": None,
        },
        folder / "ink.pt",
    )
    return folder / "toy.safetensors", folder / "hat.bin", folder / "ink.pt"
