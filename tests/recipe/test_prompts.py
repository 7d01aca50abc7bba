"""Prompts: weights in brackets and more than 77 tokens, both only where a request asks for them."""

import numpy as np
import pytest
import torch

import sdlab.models.pipeline
import sdlab.render.renderer
from sdlab import Request, preview, run, sweep
from sdlab.models.resolve import native, resolve
from sdlab.recipe.prompts import (
    fill_rows,
    find_mended,
    list_tokens,
    normalize_syntax,
    parse_weights,
)
from sdlab.render.encode import encode_prompt, list_encoders
from sdlab.render.plan import count_chunks, plan
from sdlab.render.renderer import Renderer
from sdlab.store.store import Store

LONG = "cat dog " * 50  # 100 tokens


@pytest.fixture(scope="module")
def loaded(random_v1):
    yield sdlab.models.pipeline.load(native(str(random_v1)), "cpu", "float32")
    sdlab.models.pipeline.unload()


@pytest.fixture
def encoded(loaded):
    """A prompt as an array (tokens, width)."""
    (encoder,) = list_encoders(loaded.pipe)
    return lambda prompt, *how: encode_prompt(encoder, prompt, *how).words[0].numpy()


@pytest.fixture
def cat(random_v1):
    return Request(model=str(random_v1), prompt="a cat", num_inference_steps=2)


# ---- how weights are read


@pytest.mark.parametrize(
    "prompt, pieces",
    [
        ("a cat", {"a cat": 1}),
        ("a (red:1.2) cat", {"a ": 1, "red": 1.2, " cat": 1}),
        ("(cat)", {"cat": 1.1}),
        ("[cat]", {"cat": 1 / 1.1}),
        ("((cat))", {"cat": 1.21}),
        ("[(cat)]", {"cat": 1}),
        ("((a:2) b:0.5)", {"a": 1, " b": 0.5}),
        (r"\(cat\) \[dog\] \\(x)", {"(cat) [dog] \\": 1, "x": 1.1}),
        ("(cat:0)", {"cat": 0}),
        ("(cat:.5)", {"cat": 0.5}),
        ("(a view: the sea)", {"a view: the sea": 1.1}),
        ("(cat: 1.2 )", {"cat": 1.2}),
        ("", {}),
        ("()", {}),
        (r"c:\x", {r"c:\x": 1}),
        ("cat(s:1)", {"cats": 1}),
        (r"(\):1.5)", {")": 1.5}),
    ],
)
def test_brackets_are_weights(prompt, pieces):
    found = parse_weights(prompt)
    assert [text for text, _ in found] == list(pieces) and np.allclose(
        [weight for _, weight in found], list(pieces.values())
    )


@pytest.mark.parametrize(
    "prompt, says",
    [
        (
            "a (cat",
            "'(' at character 3 of the prompt (…a (cat…) has no partner; a plain bracket is written \\(",
        ),
        ("a cat)", "')' at character 6"),
        (
            "(a [cat)",
            "'[' at character 4 of the prompt (…(a [cat)…) is closed by ')' at character 8",
        ),
        ("(cat:11)", "'cat' in '(cat:11)' has weight 11; weights are 0 to 10"),
        ("(cat:-1)", "weight -1"),
        ("[cat:dog:0.5]", "is a change between steps"),
        ("[cat:0.5]", "a lower weight is written (word:0.8)"),
        ("[cat|dog]", r"plain brackets are written \[ and \]"),
        ("a cat AND a dog", "write 'and'"),
        ("a BREAK b", "write 'break'"),
        ("<lora:ink:1> cat", "take it out"),
    ],
)
def test_what_cannot_be_read_is_refused_with_its_place(cat, tmp_path, prompt, says):
    with pytest.raises(ValueError) as caught:
        preview(cat.but(negative_prompt=prompt, prompt_syntax="weights"), tmp_path)
    assert f"negative_prompt={prompt!r}: " in str(caught.value) and says in str(caught.value)


@pytest.mark.parametrize(
    "text, found",
    [
        ('a dog\'s "bone" — naïve & 日本 &foo; ❤️', {}),
        ("a dog’s “bone”", {"’": "'", "“": '"', "”": '"'}),
        ("ｗide ﬁre", {"ｗ": "w", "ﬁ": "fi"}),
        ("salt &amp; pepper, &#8217;", {"&amp;": "&", "&#8217;": "’"}),
    ],
)
def test_signs_that_clip_knows_in_another_spelling_are_found(text, found):
    assert find_mended(text) == found


def test_a_curly_quote_is_told_before_a_run_and_stays_as_it_is(cat, tmp_path, loaded):
    plain, curly = cat.but(prompt="a cat's ear"), cat.but(prompt="a cat’s ear")
    tokenizer = loaded.pipe.tokenizer
    assert list_tokens(tokenizer, plain.prompt) != list_tokens(tokenizer, curly.prompt)
    assert "prompt" not in preview(plain, tmp_path).notes
    with pytest.warns(UserWarning, match="prompt: ’ \\(for '\\) reaches the text encoder"):
        told = preview([curly, cat.but(negative_prompt="an “ear”")], tmp_path)
    assert "“ (for" in told.notes["negative_prompt"]
    assert plan([curly], Store(tmp_path)).cells[0].prompt == "a cat’s ear"


def test_without_the_syntax_brackets_are_plain_characters(cat, tmp_path, loaded):
    assert preview(cat.but(prompt="a (cat [b|c] AND"), tmp_path).todo == 1
    assert list_tokens(loaded.pipe.tokenizer, "(cat)") == [
        (token, 1) for token in loaded.pipe.tokenizer("(cat)")["input_ids"][1:-1]
    ]


@pytest.mark.parametrize(
    "given, name",
    [
        ("weights", "weights"),
        ("chunks + Weights", "weights+chunks"),
        ("weights,chunks", "weights+chunks"),
    ],
)
def test_a_syntax_has_one_spelling(given, name):
    assert Request(prompt_syntax=given).prompt_syntax == name == normalize_syntax(name)


def test_an_unknown_syntax_is_refused_with_what_there_is():
    for wrong in ("a1111", "", "weights+x"):
        with pytest.raises(
            ValueError, match="'weights' for .word:1.2., 'chunks' for more than 77 tokens"
        ):
            Request(prompt_syntax=wrong)


def test_the_syntax_is_an_axis_beside_choices_in_braces(cat):
    cells = sweep(cat.but(prompt="a ({cat|dog}:1.2)"), prompt_syntax="weights, weights+chunks")
    assert [(cell.prompt, cell.prompt_syntax) for cell in cells] == [
        (f"a ({animal}:1.2)", syntax)
        for syntax in ("weights", "weights+chunks")
        for animal in ("cat", "dog")
    ]


# ---- what weights do


@pytest.mark.parametrize("clip_skip", [0, 1])
def test_a_weight_moves_a_tokens_embedding_away_from_the_empty_prompts(encoded, clip_skip):
    """The reference, in NumPy: empty + weight (token - empty), at the places of "dog" alone."""
    plain, empty = encoded("the dog cat", clip_skip), encoded("", clip_skip)
    weights = np.ones((77, 1), np.float32)
    weights[2] = 1.5  # begin, the, dog, cat
    expected = empty + weights * (plain - empty)
    found = encoded("the (dog:1.5) cat", clip_skip, "weights")
    assert np.allclose(found, expected, atol=1e-6) and not np.allclose(found, plain, atol=1e-3)


def test_weight_0_is_the_empty_prompts_embedding_at_that_place(encoded):
    found, empty, plain = (
        encoded("the (dog:0) cat", 0, "weights"),
        encoded(""),
        encoded("the dog cat"),
    )
    assert np.allclose(found[2], empty[2]) and np.array_equal(
        np.delete(found, 2, 0), np.delete(plain, 2, 0)
    )


@pytest.mark.parametrize(
    "prompt, syntax",
    [
        ("(a dog:1) in the cat", "weights"),
        ("[(a dog)] in the cat", "weights+chunks"),
        ("a d(o:1)g in the cat", "weights"),
        ("a dog in the cat", "chunks"),
    ],
)
def test_weight_1_everywhere_is_the_plain_prompt_bit_for_bit(encoded, prompt, syntax):
    assert np.array_equal(encoded(prompt, 0, syntax), encoded("a dog in the cat"))


def test_the_plain_prompt_is_diffusers_own_embedding(loaded, encoded):
    for prompt in ("", "a cat, the dog", LONG):
        theirs, _ = loaded.pipe.encode_prompt(prompt, "cpu", 1, False)
        assert np.array_equal(encoded(prompt), theirs[0].detach().numpy())


def test_weights_change_the_picture_of_their_cell_alone(cat, tmp_path):
    cells = [
        cat.but(prompt=prompt, prompt_syntax="weights")
        for prompt in ("a cat", "a (cat:1.5)", "a cat")
    ] + [cat]
    pixels = list(run(cells, tmp_path, dtype="float32")["pixels"])
    assert pixels[0] == pixels[2] == pixels[3] != pixels[1]


# ---- more than 77 tokens


def test_chunks_have_75_tokens_and_their_own_ends(loaded):
    tokenizer = loaded.pipe.tokenizer
    rows = fill_rows(tokenizer, LONG, "chunks")
    ids = np.array(rows)[..., 0].astype(int)
    all_of_them = tokenizer(LONG, verbose=False)["input_ids"][1:-1]
    assert (
        ids.shape == (2, 77)
        and (ids[:, 0] == tokenizer.bos_token_id).all()
        and ids[0, -1] == ids[1, 26] == tokenizer.eos_token_id
    )
    assert [*ids[0, 1:-1], *ids[1, 1:26]] == all_of_them and (
        ids[1, 27:] == tokenizer.pad_token_id
    ).all()


@pytest.mark.parametrize("words, count", [(0, 1), (75, 1), (76, 2), (150, 2), (151, 3)])
def test_a_chunk_more_begins_where_it_is_needed(random_v1, words, count):
    own = native(str(random_v1))
    assert (
        count_chunks(own, "chunks", "cat " * words, "")
        == count
        == count_chunks(own, "chunks", "a cat", "dog " * words)
    )
    assert count_chunks(own, None, "cat " * words, "") == 1


@pytest.mark.parametrize(
    "prompt, negative, clip_skip",
    [(LONG, "a dog", 0), ("a cat", LONG, 1), (LONG, LONG[4:], 0), (LONG, "", 0)],
)
def test_a_long_prompt_equals_diffusers_call_with_the_joined_embeddings(
    loaded, encoded, cat, monkeypatch, prompt, negative, clip_skip
):
    kept, decode = [], sdlab.render.renderer.decode
    monkeypatch.setattr(
        sdlab.render.renderer, "decode", lambda vae, x, rows: kept.append(x) or decode(vae, x, rows)
    )
    Renderer(loaded, 1).draw_pictures(
        [
            resolve(
                cat.but(
                    prompt=prompt,
                    negative_prompt=negative,
                    clip_skip=clip_skip,
                    prompt_syntax="chunks",
                    scheduler="DDIM",
                    num_inference_steps=4,
                )
            )
        ]
    )

    def both_parts(text):
        words = text.split()
        parts = " ".join(words[:75]), " ".join(words[75:])
        return torch.tensor(np.concatenate([encoded(part, clip_skip) for part in parts]))[None]

    own, loaded.pipe.scheduler = loaded.pipe.scheduler, loaded.scheduler("DDIMScheduler")
    theirs = loaded.pipe(
        prompt_embeds=both_parts(prompt),
        negative_prompt_embeds=both_parts(negative),
        guidance_scale=7.5,
        num_inference_steps=4,
        generator=torch.Generator().manual_seed(0),
        output_type="latent",
    ).images
    loaded.pipe.scheduler = own
    assert (kept[0] - theirs).abs().max() < 1e-5 * max(1, theirs.abs().max())


def test_cells_share_a_batch_only_with_texts_of_one_length(cat, tmp_path):
    cells = [cat.but(prompt="cat " * n, prompt_syntax="chunks") for n in (1, 76, 75, 80)] + [cat]
    groups = plan(cells, Store(tmp_path)).groups
    assert [[len(cell.prompt) // 4 for cell in group] for group in groups] == [[1, 75, 1], [76, 80]]


def test_a_long_cell_has_the_same_bits_whatever_its_neighbours(cat, tmp_path):
    texts = ("a cat", ""), ("a cat", LONG), ("(dog:1.3) " * 90, ""), (LONG, LONG)
    cells = [
        cat.but(prompt=text, negative_prompt=other, prompt_syntax="weights+chunks")
        for text, other in texts
    ]
    together = run(cells, tmp_path / "together", batch_size=4)["pixels"]
    backwards = run(cells[::-1], tmp_path / "backwards", batch_size=4)["pixels"]
    alone = [run(cell, tmp_path / "alone", batch_size=4)["pixels"][0] for cell in cells]
    assert list(together) == list(backwards[::-1]) == alone and len(set(alone)) == 4


def test_a_prompt_of_75_tokens_is_one_picture_with_and_without_chunks(cat, tmp_path):
    cells = [
        cat.but(prompt="cat " * 75, prompt_syntax=syntax)
        for syntax in (None, "chunks", "weights+chunks")
    ]
    frame = run(cells, tmp_path, dtype="float32")
    assert frame["pixels"].nunique() == 1 and list(frame["prompt_syntax"].fillna("—")) == [
        "—",
        "chunks",
        "weights+chunks",
    ]


@pytest.mark.parametrize("syntax, offers", [(None, "chunks"), ("weights", "weights+chunks")])
def test_without_chunks_it_is_said_what_would_be_cut_and_how_to_keep_it(
    cat, tmp_path, syntax, offers
):
    text = "cat " * 75 + ("(dog:1.2)" if syntax else "dog") + " the"
    with pytest.raises(
        ValueError,
        match=rf"prompt has 79 tokens.*would be lost: 'dog ?the ?'.*prompt_syntax='{offers.replace('+', '.')}'",
    ):
        preview(cat.but(prompt=text, prompt_syntax=syntax), tmp_path)
    assert run(cat.but(prompt=text, prompt_syntax=offers), tmp_path)["error"].isna().all()


def test_brackets_and_numbers_of_weights_are_no_tokens(cat, tmp_path):
    cell = cat.but(prompt="(cat:1.25) " * 75, prompt_syntax="weights")
    assert preview(cell, tmp_path).todo == 1
    with pytest.raises(ValueError, match="tokens"):
        preview(cell.but(prompt_syntax=None), tmp_path)
