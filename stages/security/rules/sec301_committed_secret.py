"""SEC301: a file holds what looks like a live credential."""

from __future__ import annotations

from verifier.api import Bad, Good, RuleInfo, Severity

RULE = RuleInfo(
    code="SEC301",
    name="committed-secret",
    severity=Severity.CRITICAL,
    summary="A file holds what looks like a live credential.",
    why=(
        "Whoever can read the repository, a copy or an old commit of it can use the credential. Some forms are known"
        " here; a secret scanner, where one is installed, knows hundreds. CRITICAL for a form that nothing else has,"
        " MEDIUM in tests, LOW for what a scanner only suspects. No report shows the secret itself."
    ),
    examples=(
        # put together here, and with a wrong checksum, so that no scanner takes this file or its page for a leak
        Bad(f"""
            KEY = "AKIA{"Q7J3K5N2XW6R" + "T4YB"}"  # expect: SEC301
        """),
        Bad(f"""
            # --- train.py
            import yaml

            # --- config.yaml
            model: small
            github: ghp_{"A7f3kQ9zLm2XwR8v" + "TbY5nJcPdE1sGh4UoK6i"}  # expect: SEC301
        """),
        Good(f"""
            # the address of one download, signed: it names a key, and holds none
            URL = "https://example.org/a.pt?X-Amz-Credential=AKIA{"Q7J3K5N2XW6R" + "T4YB"}%2F20260101%2Fus-east-1"
        """),
        Good("""
            import os

            os.environ.setdefault("HF_TOKEN", "hf_xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx")
            token = os.environ["HF_TOKEN"]
            digest = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
        """),
    ),
)
