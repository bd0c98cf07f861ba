"""Hypothesis profiles: `ci`, the default, draws the same examples every time; HYPOTHESIS_PROFILE=explore new
ones; `first` stops at the first failure, however large."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, Phase, settings

common = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow]}
settings.register_profile("ci", derandomize=True, database=None, **common)
settings.register_profile("explore", derandomize=False, print_blob=True, **common)
first = [Phase.explicit, Phase.reuse, Phase.generate]
settings.register_profile("first", derandomize=True, database=None, phases=first, **common)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))
