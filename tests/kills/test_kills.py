"""Whoever is killed and whenever: a whole report stands, nothing runs on, and the next run works."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.kills.killing import Killing, Victim
from tests.kills.tiny import Tiny


def killed(folder: Path, count: int, *, seed: int) -> Killing:
    killing = Killing(Tiny(folder), seed)
    killing.kills(count)
    print(f"{count} kills, seed {seed}")
    for what, often in sorted(killing.seen.items()):
        print(f"  {what}: {often}")
    return killing


def test_killing_any_process_at_any_moment_leaves_a_whole_report_and_nothing_running(tmp_path: Path) -> None:
    killing = killed(tmp_path, 25, seed=6)
    assert {how.partition(":")[0] for how in killing.seen} >= {*Victim}


@pytest.mark.stress
@pytest.mark.timeout(3 * 3600)
def test_a_thousand_kills(tmp_path: Path) -> None:
    seen = killed(tmp_path, 1000, seed=1000).seen
    assert seen["parent while writing: old report"] > 0
    assert seen["parent while writing: new report"] > 0
    for victim in ("keeper", "supervisor", "child"):
        assert seen[f"{victim}: BLOCK"] > seen[f"{victim}: PASS"]
