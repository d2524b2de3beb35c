"""A baseline file: the same entries give the same bytes, and nothing but a whole baseline is read as one."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from verifier.baseline.document import Baseline, Entry, line_in, read_baseline, written
from verifier.errors import UsageError
from verifier.model.finding import Severity

TEXT = st.text(st.characters(codec="utf-8"), max_size=20)
ENTRIES = st.builds(
    Entry,
    path=TEXT,
    rule=TEXT,
    severity=st.sampled_from([severity.name for severity in Severity]),
    task=TEXT,
    stage=TEXT,
    fingerprint=TEXT.filter(bool),
    reason=TEXT.filter(str.strip),
    device=TEXT,
    places=st.integers(1, 9),
)
ONE = Entry(
    path="a.py", rule="SCP001", severity="HIGH", task="T1", stage="syntax", fingerprint="f" * 20, reason="legacy"
)


@given(entries=st.lists(ENTRIES, max_size=5), checked=st.lists(TEXT, max_size=3, unique=True))
def test_what_is_written_is_read_again_and_order_does_not_matter(
    tmp_path_factory: pytest.TempPathFactory, entries: list[Entry], checked: list[str]
) -> None:
    path = tmp_path_factory.getbasetemp() / "round.json"
    before = Baseline(entries=tuple(entries), checked=tuple(checked))
    path.write_bytes(written(before))
    after = read_baseline(path)
    assert after == Baseline(entries=tuple(sorted(entries)), checked=tuple(sorted(checked)))
    assert written(Baseline(entries=tuple(reversed(entries)), checked=tuple(checked))) == written(after)


def test_a_finding_is_one_line(tmp_path: Path) -> None:
    other = Entry(
        path="b.py", rule="SCP001", severity="LOW", task="T1", stage="syntax", fingerprint="e" * 20, reason="r"
    )
    data = written(Baseline(entries=(other, ONE)))
    (tmp_path / "b.json").write_bytes(data)
    lines = data.decode().splitlines()
    assert [json.loads(line.strip(" ,"))["path"] for line in lines if "fingerprint" in line] == ["a.py", "b.py"]
    assert lines[line_in(tmp_path / "b.json", other) - 1].lstrip().startswith('{"path": "b.py"')


def _text(**changes: object) -> str:
    document = json.loads(written(Baseline(entries=(ONE,))))
    for key, value in changes.items():
        if key in document:
            document[key] = value
        else:
            document["findings"][0][key] = value
    return json.dumps(document)


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("", "not JSON"),
        (written(Baseline(entries=(ONE,))).decode()[:120], "not JSON"),
        ("<<<<<<< HEAD\n" + _text(), "it holds a merge conflict"),
        ("[]", 'its "schema" is not'),
        (_text(schema="verifier-report/1"), 'its "schema" is not'),
        (_text(checked="."), '"checked" must be a list of paths'),
        (_text(findings={}), '"findings" must be a list'),
        (_text(findings=[1]), "finding 1 must have the keys"),
        (_text(severity="WORST"), 'the severity "WORST"'),
        (_text(severity=3), "must be text"),
        (_text(places=0), '"places" of finding 1'),
        (_text(places=True), '"places" of finding 1'),
        (_text(reason=" "), "lacks its fingerprint or its reason"),
        (_text(extra="x"), "finding 1 must have the keys"),
        ("[" * 100_000, "nested too deeply"),
    ],
)
def test_what_is_no_baseline_is_refused_in_one_sentence(tmp_path: Path, text: str, part: str) -> None:
    path = tmp_path / "b.json"
    path.write_text(text)
    with pytest.raises(UsageError, match="is no baseline") as refused:
        read_baseline(path)
    assert part in str(refused.value)
    assert "\n" not in str(refused.value)


def test_bytes_that_are_no_text_and_files_that_are_none_are_refused(tmp_path: Path) -> None:
    (tmp_path / "b.json").write_bytes(b"\xff\xfe")
    with pytest.raises(UsageError, match="not UTF-8"):
        read_baseline(tmp_path / "b.json")
    with pytest.raises(UsageError, match="cannot be read"):
        read_baseline(tmp_path)
    with pytest.raises(UsageError, match="--update-baseline"):
        read_baseline(tmp_path / "none.json")
