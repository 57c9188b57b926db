"""The explorer in a notebook's cell."""

from __future__ import annotations

import re
from typing import Any
from urllib.request import urlopen

import pytest

from zatlas.errors import UsageError


def test_a_run_explores_itself_in_a_frame_that_is_served(explored: Any) -> None:
    frame = explored.run.explore(height=500)
    shown = frame._repr_html_()
    assert 'height="500"' in shown
    address = re.search(r'src="([^"]+)"', shown)
    assert address
    assert address[1] == frame.address
    with urlopen(frame.address, timeout=10) as response:
        assert b'id="zatlas"' in response.read()
    frame.stop()


def test_more_than_two_runs_are_refused_in_a_notebook_too(explored: Any) -> None:
    with pytest.raises(UsageError, match="side by side"):
        explored.run.explore(explored.run, explored.run)
