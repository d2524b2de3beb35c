"""Property tests draw the same examples in every run, so that a failure belongs to the change that brought it.

`HYPOTHESIS_PROFILE=fuzz pytest ...` draws new ones, and more of them, for whoever looks for faults.
"""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

os.environ["VERIFY_CACHE_DIR"] = ""  # no test is to be answered by another, nor to write to anybody's home folder

settings.register_profile("same", derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("fuzz", max_examples=1000, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "same"))
