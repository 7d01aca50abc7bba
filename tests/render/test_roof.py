"""The roof of a cell: what networks need is counted right, and the program judges the embedded model."""

import argparse
import json
import math
from collections import Counter
from pathlib import Path

import pytest
import torch
from diffusers.models.attention_processor import Attention

import sdlab.models.pipeline
from sdlab import MODELS
from sdlab.models.resolve import native

PROGRAMS = Path(__file__).parents[1] / "benchmarks"
RATES = {"bfloat16": 4e12, "float32": 1e12, "exponentials": 2e9, "softmax": 1e9} | {
    "activations": 40e9,
    "memory": 10e9,
}


@pytest.fixture
def roof(monkeypatch):
    """The program, which finds its neighbours beside itself."""
    monkeypatch.syspath_prepend(PROGRAMS)
    import roof

    return roof


def count_by_layers(network, call):
    """What a network's layers need in a call, by the shapes that they are given and give."""
    found = Counter()

    def look(layer, given, named, out):
        if isinstance(layer, torch.nn.Conv2d):
            found["convolutions"] += 2 * out.numel() * layer.weight[0].numel()
        elif isinstance(layer, torch.nn.Linear):
            found["linear layers"] += 2 * out.numel() * layer.in_features
        else:
            queries, keys = given[0], named.get("encoder_hidden_states")
            seen = (queries if keys is None else keys).shape[1]
            pairs = queries.shape[0] * queries.shape[1] * seen
            found["exponentials"] += pairs * layer.heads
            found["attention"] += 4 * pairs * layer.to_v.out_features

    kinds = (torch.nn.Conv2d, torch.nn.Linear, Attention)
    layers = [layer for layer in network.modules() if isinstance(layer, kinds)]
    hooks = [layer.register_forward_hook(look, with_kwargs=True) for layer in layers]
    with torch.inference_mode():
        call()
    for hook in hooks:
        hook.remove()
    return found


def test_operations_need_what_the_layers_say(roof):
    given = argparse.Namespace(model=str(MODELS["tiny-v1"].path), size=64)
    networks, how = roof.watch_model(given)
    pipe = sdlab.models.pipeline.load(native("tiny-v1"), "cpu").pipe
    side, width = 64 // pipe.vae_scale_factor, pipe.unet.config.cross_attention_dim
    x, text = (torch.zeros(s, dtype=pipe.unet.dtype) for s in ((2, 4, side, side), (2, 77, width)))
    calls = {
        "UNet": (pipe.unet, lambda: pipe.unet(x, 500, encoder_hidden_states=text)),
        "decode": (pipe.vae, lambda: pipe.vae.decode(x[:1])),
    }
    assert how["dtype"] == str(pipe.unet.dtype).removeprefix("torch.")
    for name, (network, call) in calls.items():
        counted = Counter()
        for each in networks[name]:
            counted[each.kind] += each.flops
            counted["exponentials"] += each.exponentials
        assert +counted == count_by_layers(network, call), name
    weights = sum(each.weights for each in networks["UNet"])
    layers = (torch.nn.Conv2d, torch.nn.Linear)
    mine = [layer.weight.numel() for layer in pipe.unet.modules() if isinstance(layer, layers)]
    assert weights == sum(mine)


def test_norms_move_what_they_are_given_and_give_and_views_nothing(roof):
    x, weight = torch.ones(2, 8, 4, 4), torch.ones(8)
    with torch.no_grad(), roof.Watch() as watch:
        torch.nn.functional.silu(x.view(2, 8, 16).transpose(1, 2))
        torch.nn.functional.group_norm(x, 4, weight, weight)
    silu, norm = watch.found
    assert silu.moved == 2 * x.numel()
    assert norm.moved == 2 * x.numel() + 2 * weight.numel() + 2 * (2 * 4)  # means, deviations
    assert {each.kind for each in watch.found} == {roof.REST}


def test_the_roof_is_the_longer_of_products_and_weights_and_all_the_rest(roof):
    product = roof.Operation("linear layers", flops=8e12, weights=1e9)
    assert product.find_least(RATES, "bfloat16") == 2 and product.find_least(RATES, "float32") == 8
    assert (
        roof.Operation("linear layers", flops=8e11, weights=1e9).find_least(RATES, "float32") == 0.8
    )
    assert (
        roof.Operation("linear layers", flops=8e10, weights=1e9).find_least(RATES, "float32") == 0.4
    )
    attention = roof.Operation("attention", flops=4e12, exponentials=4e9)
    norm = roof.Operation("norms and the rest", moved=20e9)
    found = {"UNet": [product, attention], "decode": [norm]}
    told = roof.find_roofs(found, 3, RATES)
    assert list(told.values()) == [3 * (2 + 1 + 2) + 1, 3 * (2 + 1 + 2), 3 * (2 + 1 + 4) + 1]


def test_the_program_judges_the_embedded_model(roof, monkeypatch, tmp_path, capsys):
    import peers

    def ask_here(given, name):
        if name == roof.WHO[1]:
            return {"who": name, "error": "not installed (x)"}
        line = argparse.Namespace(**{**vars(given), "line": name})
        return {"who": name, **peers.measure(line)}

    monkeypatch.setattr(roof, "ask", ask_here)
    roof.main(["--small", "--cells", "2", "--json", str(tmp_path / "roof.json")])
    told, printed = json.loads((tmp_path / "roof.json").read_text()), capsys.readouterr().out
    assert [row["who"] for row in told["rows"]] == list(roof.WHO)
    assert "| diffusers, bfloat16 | not installed (x) |" in printed.splitlines()
    for row in (told["rows"][0], told["rows"][2]):
        assert 0 < row["share"] < 1
        assert math.isclose(row["times"]["the roof"], 1 / row["share"])
        assert f"| {row['who']} | {row['seconds']:.2f} | {row['share']:.2f} |" in printed
    joined, whole, softmax = sorted(told["roofs"].values())
    assert whole == told["roofs"]["the roof"] and softmax == told["roofs"]["torch's softmax"]
    assert joined > 0 and {row["network"] for row in told["kinds"]} == {"UNet", "decode"}
    assert all(rate > 0 for rate in told["rates"].values())
