"""Whatever a report holds, no secret of it stands in there after redaction."""

from __future__ import annotations

import dataclasses

from hypothesis import given
from hypothesis import strategies as st

from tests.builders import finding, reported, run_report, stage_result
from verifier.model.finding import Evidence
from verifier.redaction import masked, without_secrets

SECRET = "k7Qz-2Vx9-LmP4-tB8n"
TEXTS = st.text(alphabet=st.characters(codec="utf-8"), max_size=12)


def test_a_secret_is_known_by_its_first_characters_and_length() -> None:
    assert masked(SECRET) == "k7Qz… (19 characters)"


@given(before=TEXTS, after=TEXTS)
def test_no_part_of_a_report_keeps_a_secret(before: str, after: str) -> None:
    said = f"{before}{SECRET}{after}"
    found = finding(
        message=said,
        symbol=said,
        why=said,
        remediation=said,
        related=(("pkg/a.py:3", said),),
        evidence=(Evidence(kind="source", summary=said, data={"deep": [{"text": said}], said: 1}),),
    )
    facts = {"rows": [{"key": said, "nested": (said, {said: [said]})}]}
    report = run_report(stage_result(reported(found), facts=facts, reason=said), snippets={("pkg/a.py", 1): said})
    clean = without_secrets(report, (SECRET,))
    assert SECRET not in repr(clean)
    assert masked(SECRET) in clean.snippets["pkg/a.py", 1]
    assert clean.stages[0].findings[0].blocking is report.stages[0].findings[0].blocking


def test_what_holds_no_secret_stays_equal() -> None:
    report = run_report(stage_result(reported()), snippets={("pkg/a.py", 1): "x = 1"})
    assert without_secrets(report, (SECRET,)) == report
    assert without_secrets(report, None) is report


def test_the_longest_secret_is_replaced_first_and_each_line_of_one_counts() -> None:
    long = f"{SECRET}-and-more"
    assert without_secrets(f"a {long} b", (SECRET, long)) == f"a {masked(long)} b"
    key = "-----BEGIN KEY-----\nMIIEabcdefgh\n-----END KEY-----"
    assert "MIIEabcdefgh" not in without_secrets(["MIIEabcdefgh"], (key,))[0]


def test_a_text_too_short_to_be_a_secret_is_left_alone() -> None:
    assert without_secrets("import os", ("os",)) == "import os"


def test_a_report_keeps_its_type_and_its_other_fields() -> None:
    report = run_report(stage_result(reported(finding(message=SECRET))))
    clean = without_secrets(report, (SECRET,))
    assert type(clean) is type(report)
    assert dataclasses.replace(clean, stages=()) == dataclasses.replace(report, stages=())
