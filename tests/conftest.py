"""What all suites share: how hard Hypothesis looks."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

# No test depends on wall time: not on a deadline, and not on how fast a busy machine draws.
_PATIENT = [HealthCheck.too_slow]
settings.register_profile("dev", deadline=None, suppress_health_check=_PATIENT)
# The same examples each time: what fails here fails again on a laptop.
settings.register_profile(
    "ci", deadline=None, suppress_health_check=_PATIENT, derandomize=True, print_blob=True
)
settings.register_profile(
    "nightly",
    deadline=None,
    suppress_health_check=_PATIENT,
    max_examples=1_500,
    print_blob=True,
)
settings.load_profile(
    os.environ.get("HYPOTHESIS_PROFILE") or ("ci" if "CI" in os.environ else "dev")
)
