"""Libraries are imported while the garbage collector waits, and it goes on after that."""

import gc

import pytest

from sdlab.recipe.collector import pause_collector


@pytest.fixture(autouse=True)
def collector():
    yield
    gc.enable()


def test_the_collector_waits_for_imports_and_goes_on_also_after_one_that_fails():
    with pytest.raises(ImportError), pause_collector():
        assert not gc.isenabled()
        raise ImportError
    assert gc.isenabled()


def test_who_stopped_the_collector_finds_it_stopped():
    gc.disable()
    with pause_collector():
        pass
    assert not gc.isenabled()


def test_an_import_within_another_does_not_wake_the_collector():
    with pause_collector():
        with pause_collector():
            pass
        assert not gc.isenabled()
