"""Kills spread over the whole run of the real command; `python -m sims.kill_sweep` makes twenty of them."""

from __future__ import annotations

import pytest

from sims.kill_sweep import kills


@pytest.mark.slow
def test_killed_at_a_random_moment_of_its_run_it_resumes_to_the_same_dataset(tmp_path):
    grid = {"depth": "2:5", "samples_per_class": "2,3", "width": 40, "seeds": 4, "loss_tolerance": 1e-12}
    [row] = kills(grid, tmp_path, count=1, seed=1)
    assert row["identical"]
    assert (row["runs lost"], row["batches written twice"]) == (0, 0)
    assert row["batches finished"] != "8 of 8"
