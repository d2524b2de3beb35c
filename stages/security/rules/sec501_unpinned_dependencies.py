"""SEC501: requirements without any bound: the next release of each is taken as it is."""

from __future__ import annotations

from verifier.api import Bad, Good, RuleInfo, Severity

RULE = RuleInfo(
    code="SEC501",
    name="unpinned-dependencies",
    severity=Severity.INFO,
    summary="Requirements have no bound at all, and no lock file says what was tested.",
    why=(
        "What is installed tomorrow is not what was reviewed today, and a name that somebody takes over is installed"
        " as well. A library leaves upper bounds open; an application, which training code is, has a lock file."
    ),
    examples=(
        Bad("""
            # --- requirements.txt
            torch  # expect: SEC501
            numpy
            # --- train.py
            import torch
        """),
        Good("""
            # --- requirements.txt
            torch==2.6.0
            numpy>=1.26,<3
            # --- train.py
            import torch
        """),
    ),
)
