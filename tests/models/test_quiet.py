"""Libraries are imported while the garbage collector waits, and it goes on after that."""

import gc

import pytest

from sdlab.models.quiet import import_sooner


@pytest.fixture(autouse=True)
def collector():
    yield
    gc.enable()


def test_the_collector_waits_for_imports_and_goes_on_also_after_one_that_fails():
    with pytest.raises(ImportError), import_sooner():
        assert not gc.isenabled()
        raise ImportError
    assert gc.isenabled()


def test_who_stopped_the_collector_finds_it_stopped():
    gc.disable()
    with import_sooner():
        pass
    assert not gc.isenabled()


def test_an_import_within_another_does_not_wake_the_collector():
    with import_sooner():
        with import_sooner():
            pass
        assert not gc.isenabled()
