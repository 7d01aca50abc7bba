"""What the tests of several widgets share."""

import pytest

from sdlab.widgets import panel


@pytest.fixture
def at_once(monkeypatch):
    """What workers do is done before anything else."""

    class Here:
        def submit(self, work, *given):
            work(*given)

    monkeypatch.setattr(panel, "workers", Here())
