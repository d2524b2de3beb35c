"""What a scanner only guessed from the word before it: kept where it could open something."""

from __future__ import annotations

import pytest

from stages.security.scanner.answers import Hit
from stages.security.secrets import scanned
from verifier.api import Severity


def severities(secret: str, rule: str, confidence: str) -> list[Severity]:
    hit = Hit(path="a.json", line=1, column=1, rule=rule, description="", confidence=confidence, secret=secret)
    return [item.severity for item in scanned([hit], "2.0.0")]


@pytest.mark.parametrize("secret", ["8866", "54210394", "word", "your_secure_password", "placeholder-1"])
def test_what_can_be_no_password_is_none(secret: str) -> None:
    assert severities(secret, "generic-password", "medium") == []


@pytest.mark.parametrize(
    ("secret", "rule", "confidence", "severity"),
    [
        ("Tr0ub4dor-and-3", "generic-password", "medium", Severity.MEDIUM),
        ("correcthorsebattery", "generic-password", "medium", Severity.MEDIUM),
        ("8866", "smtp-password", "medium", Severity.MEDIUM),
        ("k3J9-q7Lx2Vn8Rz4Tb6W", "some-key", "high", Severity.CRITICAL),
        ("k3J9-q7Lx2Vn8Rz4Tb6W", "some-key", "low", Severity.LOW),
    ],
)
def test_what_could_be_one_is_told(secret: str, rule: str, confidence: str, severity: Severity) -> None:
    assert severities(secret, rule, confidence) == [severity]
