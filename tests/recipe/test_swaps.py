"""A VAE, LoRAs and textual inversions in a request: how they are written, what they count as, what is refused."""

import shutil

import pandas as pd
import pytest
import torch
from conftest import write_pipeline
from safetensors.torch import save_file
from swaps import write_embeddings, write_kohya_lora, write_peft_lora

from sdlab import MODELS, Model, Request, sweep
from sdlab.models.parts import VAES, read_embedding
from sdlab.models.pipeline import open_tokenizer
from sdlab.models.resolve import native, resolve, swap_parts
from sdlab.recipe.parts import read_embeddings, read_loras
from sdlab.recipe.prompts import list_tokens, split_at_words, write_tokens
from sdlab.recipe.request import key_of
from sdlab.render.plan import plan
from sdlab.results.code import read_requests, write_plan
from sdlab.results.frame import find_model_weights, has_retrained_model
from sdlab.store.store import Store


@pytest.fixture(scope="module")
def files(random_v1, tmp_path_factory):
    top = tmp_path_factory.mktemp("swaps")
    toy, hat, ink = write_embeddings(top)
    return {
        "toy": str(toy),
        "hat": str(hat),
        "ink": str(ink),
        "vae": str(write_pipeline(top / "other", seed=1)),
        "lora": str(write_peft_lora(top / "a.safetensors", random_v1)),
        "second": str(write_kohya_lora(top / "b.safetensors", random_v1, 1)),
    }


@pytest.fixture
def base(random_v1):
    return Request(model=str(random_v1), prompt="the cat")


# Texts


@pytest.mark.parametrize(
    "text, canonical",
    [
        ("a.safetensors", "a.safetensors"),
        ("a@1", "a"),
        ("a@.50,b@ -1e-1", "a@0.5, b@-0.1"),
        ("a@0.5@1", "a@0.5@1.0"),
        ('"a, b@2"', '"a, b@2.0"'),
        ("~/x y/a-b_1.safetensors@0", "~/x y/a-b_1.safetensors@0.0"),
    ],
)
def test_loras_have_one_spelling(text, canonical):
    assert Request(lora=text).lora == canonical == Request(lora=canonical).lora
    assert read_loras(text) == read_loras(canonical)


def test_a_token_before_a_path_is_told_from_an_equals_sign_in_a_path():
    assert [(e.token, e.path) for e in read_embeddings("<ink>=a/b.pt, ./c=d.bin, /e/f.pt")] == [
        ("<ink>", "a/b.pt"),
        (None, "./c=d.bin"),
        (None, "/e/f.pt"),
    ]
    assert Request(textual_inversion="x=a.pt,b.pt").textual_inversion == "x=a.pt, b.pt"


@pytest.mark.parametrize(
    "field, text, says",
    [
        ("lora", "", "None is for none"),
        ("lora", "a@11", "-10 to 10"),
        ("lora", "a, a@0.5", "twice"),
        ("vae", " ", "None"),
        ("textual_inversion", "a=x.pt, b=x.pt", "twice"),
        ("textual_inversion", "a.pt,,b.pt", "no file"),
    ],
)
def test_impossible_texts_are_refused_at_once(field, text, says):
    with pytest.raises(ValueError, match=f"{field}.*{says}"):
        Request(**{field: text})


def test_as_axes_loras_are_one_value_and_vaes_are_names():
    cells = sweep(Request(), lora="a, b@0.5", vae="x, y", textual_inversion=[None, "c.pt, d.pt"])
    assert [(c.lora, c.vae, c.textual_inversion) for c in cells] == [
        ("a, b@0.5", vae, words) for vae in "xy" for words in (None, "c.pt, d.pt")
    ]


def test_a_network_in_the_prompt_is_refused_with_the_word_for_it(base):
    with pytest.raises(ValueError, match="negative_prompt holds '<lora:ink:0.8>'.*lora='path"):
        resolve(base.but(negative_prompt="a cat <lora:ink:0.8>"))


# Identity


def test_without_swaps_the_fingerprint_is_the_models(base):
    assert resolve(base).weights == native(base.model).weights
    assert "vae" not in resolve(base).to_dict()


def test_every_part_its_scale_its_token_and_its_place_count(base, files):
    lora, second, toy = files["lora"], files["second"], files["toy"]
    cells = [
        base,
        base.but(lora=lora),
        base.but(lora=f"{lora}@0.5"),
        base.but(lora=second),
        base.but(lora=f"{lora}, {second}"),
        base.but(lora=f"{second}, {lora}"),
        base.but(vae=files["vae"]),
        base.but(vae=files["vae"], lora=lora),
        base.but(textual_inversion=toy),
        base.but(textual_inversion=f"x={toy}"),
        base.but(textual_inversion=files["ink"]),
    ]
    assert (
        len({resolve(cell).key for cell in cells})
        == len({resolve(cell).weights for cell in cells})
        == len(cells)
    )


def test_parts_count_by_content_and_not_by_name_or_place(base, files, tmp_path):
    copies = {
        name: shutil.copy(
            files[name],
            tmp_path / f"renamed{files[name][-4:]}"
            if name != "lora"
            else tmp_path / "x.safetensors",
        )
        for name in ("lora", "ink")
    }
    shutil.copytree(f"{files['vae']}/vae", tmp_path / "decoder")
    one = base.but(lora=files["lora"], textual_inversion=files["ink"], vae=files["vae"])
    two = base.but(
        lora=f"{copies['lora']}@1.0",
        textual_inversion=f"inkish={copies['ink']}",
        vae=str(tmp_path / "decoder"),
    )
    assert resolve(one).key == resolve(two).key == key_of(resolve(one).to_dict())


def test_weights_stated_for_one_combination_refuse_another(base, files):
    resolved = resolve(base.but(lora=files["lora"]))
    assert resolve(resolved) == resolved
    with pytest.raises(ValueError, match="with the parts in their place are .* made for"):
        resolve(resolved.but(lora=f"{files['lora']}@0.5"))


def test_a_part_that_changes_on_disk_is_another_recipe(base, random_v1, tmp_path):
    cell = base.but(lora=str(write_peft_lora(tmp_path / "a.safetensors", random_v1, seed=1)))
    before = resolve(cell).key
    write_peft_lora(tmp_path / "a.safetensors", random_v1, seed=2, parts=("unet",))
    assert resolve(cell).key != before


def test_a_vae_is_found_by_a_models_name_in_a_folder_and_by_the_published_name(
    base, files, tmp_path, monkeypatch
):
    monkeypatch.setitem(MODELS, "mine", Model(path=files["vae"]))
    monkeypatch.setenv("SDLAB_MODELS", str(tmp_path))
    shutil.copytree(f"{files['vae']}/vae", tmp_path / "stabilityai/sd-vae-ft-mse")
    ways = [
        "mine",
        files["vae"],
        f"{files['vae']}/vae",
        f"{files['vae']}/vae/diffusion_pytorch_model.safetensors",
        "sd-vae-ft-mse",
    ]
    assert len({resolve(base.but(vae=way)).weights for way in ways}) == 1


def test_a_part_that_the_cache_links_to_a_blob_without_a_name_is_read(base, files, tmp_path):
    shutil.copy(files["lora"], tmp_path / "0123abcd")
    (tmp_path / "ink.safetensors").symlink_to(tmp_path / "0123abcd")
    linked = resolve(base.but(lora=str(tmp_path / "ink.safetensors")))
    assert linked.weights == resolve(base.but(lora=str(files["lora"]))).weights


# What is refused before anything runs


def test_a_published_vae_that_is_not_here_says_where_to_get_it(base, tmp_path, monkeypatch):
    import huggingface_hub.constants

    monkeypatch.delenv("SDLAB_MODELS", raising=False)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    for name, row in VAES.items():
        with pytest.raises(
            FileNotFoundError,
            match=f"licence MIT: `hf download {row.hub} config.json .*SDLAB_MODELS",
        ):
            resolve(base.but(vae=name))


@pytest.mark.parametrize(
    "field, name",
    [("vae", "nowhere"), ("lora", "nowhere.safetensors"), ("textual_inversion", "nowhere.pt")],
)
def test_a_missing_file_ends_the_plan(base, field, name, tmp_path):
    with pytest.raises(FileNotFoundError, match=f"{field}.*nowhere"):
        plan([base, base.but(**{field: name})], Store(tmp_path))


def saved(tmp_path, weights):
    save_file(weights, tmp_path / "x.safetensors")
    return str(tmp_path / "x.safetensors")


@pytest.mark.parametrize(
    "weights, says",
    [
        (
            {
                "lora_unet_down_blocks_0_attentions_0_transformer_blocks_0_attn2_to_k.lora_down.weight": (
                    4,
                    768,
                )
            },
            "another model.*768 values.*has 32",
        ),
        (
            {
                "unet.down_blocks.0.attentions.0.transformer_blocks.0.attn1.to_q.lora_A.weight": (
                    4,
                    320,
                )
            },
            "320 values.*has 32",
        ),
        (
            {"text_encoder.text_model.encoder.layers.11.self_attn.q_proj.lora_A.weight": (4, 32)},
            "another model",
        ),
        ({"lora_te2_text_model_x.lora_down.weight": (4, 1280)}, "SDXL"),
        ({"lora_unet_x.dora_scale": (4,)}, "DoRA"),
        ({"lora_unet_x.hada_w1_a": (4, 4)}, "LyCORIS"),
        ({"transformer.x.lora_A.weight": (4, 8)}, "another kind of model"),
        ({"<toy>": (32,)}, "a textual inversion"),
        ({"decoder.conv_in.weight": (8, 4, 3, 3)}, "a VAE alone"),
    ],
)
def test_what_is_no_lora_for_this_model_is_called_what_it_is(base, tmp_path, weights, says):
    path = saved(tmp_path, {name: torch.zeros(shape) for name, shape in weights.items()})
    with pytest.raises(ValueError, match=f"lora: .*{says}"):
        resolve(base.but(lora=path))


@pytest.mark.parametrize(
    "weights, says",
    [
        ({"<toy>": (2, 768)}, "768 values.*have 32"),
        ({"clip_l": (2, 32), "clip_g": (2, 64)}, "SDXL"),
        ({"<toy>": (76, 32)}, "76 tokens"),
        ({"a": (32,), "b": (32,)}, "not one token"),
        ({"a": (2, 2, 32)}, "no vectors"),
    ],
)
def test_what_is_no_textual_inversion_for_this_model_is_called_what_it_is(
    base, tmp_path, weights, says
):
    path = saved(tmp_path, {name: torch.zeros(shape) for name, shape in weights.items()})
    with pytest.raises(ValueError, match=f"textual_inversion: .*{says}"):
        resolve(base.but(textual_inversion=path))


def test_vaes_of_another_size_are_refused(base, tmp_path):
    with pytest.raises(ValueError, match="does not fit the model: its block_out_channels"):
        resolve(base.but(vae="tiny-v1"))
    path = saved(
        tmp_path,
        {
            "decoder.conv_in.weight": torch.zeros(512, 4, 3, 3),
            "decoder.up.3.block.0.norm1.weight": torch.zeros(8),
        },
    )
    with pytest.raises(ValueError, match="does not fit the model: its decoder.conv_in.weight"):
        resolve(base.but(vae=path))
    with pytest.raises(ValueError, match="holds no VAE"):
        resolve(base.but(vae=saved(tmp_path, {"<toy>": torch.zeros(32)})))


def test_textual_inversions_of_2022_are_read(base, files, tmp_path):
    vectors = torch.arange(64.0).reshape(2, 32)
    parameter = torch.nn.Parameter(vectors)
    forms = {
        "old": (torch.nn.ParameterDict({"*": parameter}), "old"),
        "word": (torch.nn.ParameterDict({"sks": parameter}), "sks"),
        "plain": ({"sks": parameter}, "sks"),
        "usual": ({"*": vectors}, "usual"),
    }
    for form, (params, word) in forms.items():
        path = tmp_path / f"{form}.pt"
        torch.save({"string_to_token": {"*": torch.tensor(265)}, "string_to_param": params}, path)
        token, found = read_embedding(path)
        assert token == word and torch.equal(found["text_encoder"], vectors)
    both = {"a": parameter, "b": parameter}
    for params in (both, torch.nn.ParameterDict(both)):
        torch.save({"string_to_param": params}, tmp_path / "two.pt")
        with pytest.raises(ValueError, match=r"textual_inversion: .*holds 2 words \(a, b\)"):
            resolve(base.but(textual_inversion=str(tmp_path / "two.pt")))


def test_a_parameter_dict_runs_nothing(base, tmp_path):
    params = torch.nn.ParameterDict({"*": torch.zeros(2, 32)})
    params.evil = Evil(str(tmp_path / "ran"))
    torch.save({"string_to_param": params}, tmp_path / "x.pt")
    with pytest.raises(ValueError, match="mkdir.*nothing of it was run"):
        resolve(base.but(textual_inversion=str(tmp_path / "x.pt")))
    assert not (tmp_path / "ran").exists()


def test_a_hypernetwork_is_no_lora(base, tmp_path):
    torch.save({320: ({"linear.weight": torch.zeros(2)},) * 2, "step": 5}, tmp_path / "x.pt")
    with pytest.raises(ValueError, match="without tensors by name, as hypernetworks are"):
        resolve(base.but(lora=str(tmp_path / "x.pt")))


def test_two_words_of_one_name_are_refused(base, files, tmp_path):
    with pytest.raises(ValueError, match="one token"):
        resolve(base.but(textual_inversion=f"{files['toy']}, <toy>={files['ink']}"))


def test_a_token_that_the_model_knows_is_refused_before_anything_runs(base, files, tmp_path):
    with pytest.raises(ValueError, match="knows 'a' already.*'my-a="):
        plan([base.but(textual_inversion=f"a={files['toy']}")], Store(tmp_path))


class Evil:
    def __init__(self, mark):
        self.mark = mark

    def __reduce__(self):
        return __import__("os").mkdir, (self.mark,)


@pytest.mark.parametrize(
    "field, name",
    [
        ("lora", "x.bin"),
        ("lora", "x.ckpt"),
        ("textual_inversion", "x.pt"),
        ("textual_inversion", "x.bin"),
        ("vae", "x.pt"),
    ],
)
def test_no_pickle_of_a_part_runs(base, tmp_path, field, name):
    torch.save({"a": torch.zeros(2), "b": Evil(str(tmp_path / "ran"))}, tmp_path / name)
    with pytest.raises(ValueError, match="mkdir.*nothing of it was run"):
        resolve(base.but(**{field: str(tmp_path / name)}))
    assert not (tmp_path / "ran").exists()


def test_a_learned_word_counts_as_many_tokens_as_it_has_vectors(base, files, tmp_path):
    fits, long = "inkish " * 25, "inkish " * 26  # 75 and 78 of 75 tokens
    plan([base.but(prompt=fits, textual_inversion=files["ink"])], Store(tmp_path))
    with pytest.raises(ValueError, match="80 tokens"):
        plan([base.but(prompt=long, textual_inversion=files["ink"])], Store(tmp_path))


def test_a_learned_word_that_no_prompt_uses_is_said(base, files, tmp_path):
    with pytest.warns(UserWarning, match="'inkish' is not in the prompts"):
        plan([base.but(textual_inversion=files["ink"])], Store(tmp_path))


def test_a_learned_word_inside_another_is_said_to_do_nothing(base, files, tmp_path):
    cell = base.but(prompt="a pink cat", textual_inversion=f"ink={files['ink']}")
    with pytest.warns(UserWarning, match="'ink' is not in the prompts .* as a whole word"):
        plan([cell], Store(tmp_path))
    plan([cell.but(negative_prompt="INK")], Store(tmp_path))  # which warns of nothing


WORDS = {  # found, by tokens with their vectors, in a text: what stands between, and the words
    ("ink",): {"pink ink_1 inks": [], "Ink, p-ink": ["ink", "ink"], "in k": []},
    ("toy", "toy-cat"): {"toy-cat toy-cats": ["toy-cat", "toy"], "atoy toy": ["toy"]},
    ("<x>", "*"): {"a<x>b*": ["<x>", "*"]},
    ("old style",): {"an Old\n style": ["old style"], "old": []},
    ("caf\u00e9",): {"cafe\u0301 cafe": ["caf\u00e9"]},
}


@pytest.mark.parametrize("words", WORDS)
def test_learned_words_are_found_as_whole_words_the_longest_first(words):
    for text, expected in WORDS[words].items():
        parts = [*split_at_words(text, words)]
        assert [word for _, word in parts] == [*expected, None]
        if not expected:
            assert parts[0][0] == text


def test_a_piece_of_other_words_that_the_tokenizer_has_may_be_a_word(base, files):
    cell = base.but(textual_inversion=f"ca={files['toy']}")  # "ca" begins "cat", and is no word
    tokenizer = open_tokenizer(swap_parts(native(base.model), cell))
    assert "ca" in tokenizer.get_vocab() and "cat</w>" in tokenizer.get_vocab()
    numbers = [token for token, _ in list_tokens(tokenizer, "cat ca the")]
    assert numbers[1] == len(tokenizer) and len(numbers) == 3
    assert write_tokens(tokenizer, numbers).split() == ["cat", "ca", "the"]


def test_two_words_that_differ_in_case_alone_are_refused(base, files):
    with pytest.raises(ValueError, match="case does not count"):
        resolve(base.but(textual_inversion=f"ink={files['toy']}, INK={files['hat']}"))


def test_a_report_does_not_call_a_model_retrained_whose_parts_were_swapped(base, files):
    cells = [
        resolve(cell)
        for cell in sweep(base, lora=[None, files["lora"]], vae=[None, files["vae"]], seed=range(2))
    ]
    frame = pd.DataFrame([cell.to_dict() for cell in cells])
    assert find_model_weights(frame) == {
        base.model: [native(base.model).weights]
    } and not has_retrained_model(frame)
    frame.loc[0, "weights"] = "0" * 32
    assert has_retrained_model(frame)


def test_the_code_of_a_report_makes_the_same_requests(base, files):
    cells = [
        resolve(cell)
        for cell in sweep(
            base,
            lora=[None, f"{files['lora']}@0.5, {files['second']}"],
            vae=[None, files["vae"]],
            textual_inversion=[None, f"x={files['ink']}"],
        )
    ]
    frame = pd.DataFrame([cell.to_dict() for cell in cells])
    exec(write_plan(read_requests(frame)), names := {"Request": Request, "sweep": sweep})
    assert names["plan"] == cells


def test_the_order_of_work_changes_models_least_and_vaes_before_loras(base, files, tmp_path):
    other = native(files["vae"]).model.path
    cells = sweep(
        base, lora=[None, files["lora"]], vae=[None, files["vae"]], model=[base.model, str(other)]
    )
    groups = [group[0] for group in plan(cells, Store(tmp_path)).groups]
    theirs = [(True, lora, vae) for lora in (None, files["lora"]) for vae in (None, files["vae"])]
    assert [(r.model == base.model, r.lora, r.vae) for r in groups] == [
        *theirs,
        *((False, lora, files["vae"]) for lora in (None, files["lora"])),
    ]  # the other model's own VAE: one recipe with None


def test_swaps_leave_a_native_without_them_as_it_is(base):
    own = native(base.model)
    assert swap_parts(own, base) is own and not own.swaps
