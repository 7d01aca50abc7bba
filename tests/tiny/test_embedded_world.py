"""The little world: what it renders, what it keeps back, and how well the matcher reads it."""

import itertools
import random

import numpy as np
import pytest
from PIL import Image

from sdlab.tiny.matcher import find_background, find_objects
from sdlab.tiny.scenes import BACKGROUNDS, SCENES, paint_background
from sdlab.tiny.sprites import COLORED_SHAPES, NAMES, draw_sprite
from sdlab.tiny.world import FILTERED, RELATIONS, V1, V2, add_article
from training.samples import HELD_OUT_SHAPES, is_held_out_pair, make_sample
from training.words import add_stray_word, list_stray_words


def samples(count, *, train=False, seed=0, world=V1):
    rng = random.Random(seed)
    return [make_sample(rng, train=train, world=world) for _ in range(count)]


def test_pictures_and_captions_repeat_with_their_seed():
    for first, second in zip(samples(20, seed=3), samples(20, seed=3)):
        assert first.caption == second.caption
        np.testing.assert_array_equal(first.image, second.image)


def test_another_seed_draws_another_world():
    assert [one.caption for one in samples(20, seed=3)] != [
        one.caption for one in samples(20, seed=4)
    ]


def test_held_out_combinations_are_never_rendered_for_training():
    for drawn in samples(4000, train=True):
        names = [placed.name for placed in drawn.objects]
        assert not HELD_OUT_SHAPES & set(names)
        assert drawn.kind != "pair" or not is_held_out_pair(*names)


def test_one_object_pair_in_six_is_held_out():
    pairs = list(itertools.combinations((*NAMES, *COLORED_SHAPES), 2))
    assert np.mean([is_held_out_pair(a, b) for a, b in pairs]) == pytest.approx(1 / 6, abs=0.01)
    assert all(is_held_out_pair(a, b) == is_held_out_pair(b, a) for a, b in pairs)


def test_held_out_combinations_can_be_asked_for():
    drawn = samples(1500)
    assert HELD_OUT_SHAPES & {placed.name for one in drawn for placed in one.objects}
    assert any(
        is_held_out_pair(*(placed.name for placed in one.objects))
        for one in drawn
        if one.kind == "pair"
    )


def test_every_object_has_a_sprite_of_its_own():
    pictures = {name: draw_sprite(name, 28).tobytes() for name in (*NAMES, *COLORED_SHAPES)}
    assert len(NAMES) == 108 and len(V1.names) == 84 and len(V2.names) == 100
    assert len(set(pictures.values())) == len(pictures)


def test_unknown_objects_are_refused_with_what_there_is():
    with pytest.raises(ValueError, match=r"unknown object 'zebra'.*hamster"):
        draw_sprite("zebra")


def test_stated_relations_hold_in_the_picture():
    for drawn in (one for one in samples(600) if one.relation):
        (x1, y1), (x2, y2) = (placed.centre for placed in drawn.objects)
        apart = dict(zip(RELATIONS, (x2 - x1, x1 - x2, y2 - y1, y1 - y2)))
        assert apart[drawn.relation] == max(apart.values())


@pytest.mark.parametrize("world", [V1, V2], ids=["v1", "v2"])
def test_objects_stay_inside_the_picture_on_the_latent_grid(world):
    for placed in (placed for one in samples(600, world=world) for placed in one.objects):
        assert 0 <= min(placed.x, placed.y) <= max(placed.x, placed.y) <= world.size - placed.side
        assert placed.x % 4 == placed.y % 4 == 0


def test_the_second_world_has_larger_pictures_and_neither_what_was_filtered_out_nor_its_words():
    for drawn in samples(1500, world=V2):
        assert drawn.image.shape == (96, 96, 3)
        assert not set(FILTERED) & {placed.name for placed in drawn.objects}
        assert not set(FILTERED) & set(drawn.caption.split())
    assert {"sheep", "volcano"} <= {
        placed.name for one in samples(3000, world=V2) for placed in one.objects
    }
    assert (
        {"woman", "guitar"} <= set(list_stray_words(V2))
        and "sheep" in list_stray_words(V1)
        and "sheep" not in list_stray_words(V2)
    )


def test_depth_is_near_where_an_object_stands_and_rises_with_the_ground():
    for drawn in samples(60):
        covered = np.zeros((64, 64), bool)
        for placed in drawn.objects:
            alpha = np.asarray(draw_sprite(placed.name, placed.side).getchannel("A")) > 127
            covered[placed.y : placed.y + placed.side, placed.x : placed.x + placed.side] |= alpha
        assert drawn.depth[covered].min() >= 0.6 and drawn.depth[~covered].max() <= 0.5
    grass = next(one for one in samples(200) if one.background == "grass")
    assert (np.diff(grass.depth[:, 0][grass.depth[:, 0] < 0.6]) >= 0).all()


def test_articles_follow_the_sound():
    expected = ["an umbrella", "a unicorn", "an owl", "a cat"]
    assert [add_article(phrase.split()[1]) for phrase in expected] == expected


def test_a_stray_word_leaves_the_other_words_in_order():
    caption = "a cat left of a tree"
    for seed in range(50):
        words = add_stray_word(random.Random(seed), caption).split(" ")
        assert any(words[:k] + words[k + 1 :] == caption.split(" ") for k in range(len(words)))


@pytest.mark.parametrize("world", [V1, V2], ids=["v1", "v2"])
def test_matcher_reads_true_renders(world):
    drawn = samples(120, seed=8, world=world)
    found = [[one.name for one in find_objects(one.image, world)] for one in drawn]
    asked = [[placed.name for placed in one.objects] for one in drawn]
    assert np.mean([set(names) <= set(seen) for names, seen in zip(asked, found)]) >= 0.97
    assert np.mean([sorted(names) == sorted(seen) for names, seen in zip(asked, found)]) >= 0.92


def test_matcher_says_where_an_object_stands():
    for drawn in (one for one in samples(80, seed=9) if one.kind == "pair"):
        places = {one.name: (one.x, one.y) for one in find_objects(drawn.image)}
        for placed in drawn.objects:
            assert places[placed.name] == pytest.approx(placed.centre, abs=2)


@pytest.mark.parametrize("name", [*BACKGROUNDS, *SCENES])
def test_matcher_knows_every_empty_background(name):
    world = V2 if name in V2.scenes else V1
    picture = paint_background(random.Random(12), name, world.size)
    assert find_background(picture, world) == name
    clouds = {"cloud", "white heart"} if name == "sky" else set()
    assert {one.name for one in find_objects(picture, world)} <= clouds


def test_matcher_takes_images_and_arrays_alike():
    array = samples(1, seed=2)[0].image
    assert find_objects(Image.fromarray(array)) == find_objects(array)


def test_matcher_refuses_an_array_of_floats():
    with pytest.raises(ValueError, match=r"float64; give \(H, W, 3\) of uint8"):
        find_objects(np.zeros((64, 64, 3)))
