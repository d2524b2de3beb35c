from __future__ import annotations

from pathlib import Path

import pytest

from reports import agent
from tests import golden
from tests.builders import finding, reported, run_report, stage_result
from tests.reports import samples

GOLDEN = Path(__file__).parent / "golden"


@pytest.mark.parametrize("kind", ["blocked", "passed"])
def test_the_text_is_the_accepted_one(kind):
    text = agent.render(getattr(samples, kind)())
    golden.check(GOLDEN / kind / "agent.txt", text)
    assert len(text) < agent.LIMIT / 2


def many(count):
    found = [
        reported(
            finding("SCP001", f"pkg/m{n % 7}.py:{n + 1}", "HIGH" if n % 3 else "LOW", remediation=f"Bind {n % 2}.")
        )
        for n in range(count)
    ]
    return run_report(stage_result(*found))


def test_the_file_with_the_worst_finding_comes_first():
    found = (reported(finding(at="a.py:1", severity="LOW")), reported(finding(at="z.py:9", severity="HIGH")))
    lines = agent.render(run_report(stage_result(*found))).splitlines()
    assert lines[2:4] == ["z.py", "9:1 SCP001 HIGH blocks: SCP001 happened"]


def test_advice_is_given_once():
    text = agent.render(many(8))
    assert text.count("fix: Bind 0.") == text.count("fix: Bind 1.") == 1
    assert "fix: as for pkg/m0.py:8" in text
    assert "fix: as for line 8" not in text.split("pkg/m1.py")[1]


@pytest.mark.parametrize("count", [200, 5000])
def test_a_long_report_is_cut_and_says_so(count):
    text = agent.render(many(count))
    assert len(text) <= agent.LIMIT
    shown = text.count("SCP001 happened")
    assert f"cut: {count - shown:,} more findings" in text
    assert text.splitlines()[0].startswith(f"T035: BLOCK 42/100, {count:,} findings")


def test_code_in_an_advice_keeps_its_lines():
    item = reported(finding(remediation="Import it:\n\n    import torch\n", fix="unsafe", at="a b.py:1"))
    lines = agent.render(run_report(stage_result(item))).splitlines()
    assert lines[4:7] == ["  fix: Import it:", "        import torch", "  automatic: verify fix --unsafe 'a b.py'"]
