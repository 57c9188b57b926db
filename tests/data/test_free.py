"""Memory that new data may take."""

import pytest
import torch

from zatlas.data import prefetch


@pytest.mark.parametrize(
    ("stat", "free"),
    [("anon 10\ninactive_file 300000\nactive_file 7\n", 800_000), ("anon 10\n", 500_000), (None, 500_000)],
    ids=["files that it read are given back", "none are told", "no statistics"],
)
def test_a_containers_limit_counts_and_its_cached_files_do_not(tmp_path, monkeypatch, stat, free):
    (tmp_path / "memory.max").write_text("1000000\n")
    (tmp_path / "memory.current").write_text("500000\n")
    if stat is not None:
        (tmp_path / "memory.stat").write_text(stat)
    monkeypatch.setattr(prefetch, "GROUP", tmp_path)
    assert prefetch.free_bytes(torch.device("cpu")) == free
