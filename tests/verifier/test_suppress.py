"""Which lines a suppression comment covers, and which comments do not count."""

from __future__ import annotations

import datetime
from pathlib import Path

import pytest

from verifier import suppress
from verifier.sources import SourceFile, SourceTree
from verifier.suppress import Allow, read_allows

NAMES = {"AMP103": "clip-before-unscale", "SCP001": "undefined-name"}


def _allows(root: Path, text: str) -> tuple[Allow, ...]:
    (root / "a.py").write_text(text)
    return read_allows(SourceTree(root, [SourceFile("a.py", root / "a.py")]), NAMES)


def test_a_comment_beside_code_covers_its_line(tmp_path: Path) -> None:
    (allow,) = _allows(tmp_path, "a = 1\nclip()  # verify: allow[AMP103] loss is not scaled here\n")
    assert (allow.line, allow.covers, allow.codes, allow.reason) == (2, 2, ("AMP103",), "loss is not scaled here")


def test_a_comment_alone_covers_the_next_line_of_code(tmp_path: Path) -> None:
    (allow,) = _allows(tmp_path, "# verify: allow[SCP001] injected\n\n# more\nuse(name)\n")
    assert (allow.line, allow.covers) == (1, 4)


def test_rule_names_count_as_codes(tmp_path: Path) -> None:
    (allow,) = _allows(tmp_path, "x  # verify: allow[undefined-name, AMP103] both\n")
    assert allow.codes == ("SCP001", "AMP103")


def test_text_inside_a_string_is_no_comment(tmp_path: Path) -> None:
    assert _allows(tmp_path, 's = "# verify: allow[SCP001] no"\n') == ()


def test_a_date_is_the_last_day_on_which_it_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (allow,) = _allows(tmp_path, "x  # verify: allow[SCP001] until 2027-01-31: the host defines it\n")
    assert (str(allow.until), allow.reason, allow.problem) == ("2027-01-31", "the host defines it", "")
    monkeypatch.setattr(suppress, "_today", lambda: datetime.date(2027, 1, 31))
    assert allow.counts
    monkeypatch.setattr(suppress, "_today", lambda: datetime.date(2027, 2, 1))
    assert not allow.counts


def test_a_reason_that_only_begins_like_a_date_is_a_reason(tmp_path: Path) -> None:
    (allow,) = _allows(tmp_path, "x  # verify: allow[SCP001] until the next release\n")
    assert (allow.until, allow.reason, allow.problem) == (None, "until the next release", "")


@pytest.mark.parametrize(
    ("comment", "part"),
    [
        ("# verify: allow[SCP001]", "gives no reason"),
        ("# verify: allow[] why", "names no rule"),
        ("# verify: allow why", "names no rule"),
        ("# verify: allow[SCP001] until 2027-01-31", "gives no reason"),
        ("# verify: allow[SCP001] until 2027-02-31 why", "2027-02-31, which is no day of the calendar"),
        ("# verify: allow[SCP01] why", 'no rule of this version; did you mean "SCP001"?'),
    ],
)
def test_a_comment_that_cannot_count_says_why(tmp_path: Path, comment: str, part: str) -> None:
    (allow,) = _allows(tmp_path, f"x = 1  {comment}\n")
    assert part in allow.problem


def test_a_file_that_does_not_tokenize_has_no_suppressions(tmp_path: Path) -> None:
    assert _allows(tmp_path, "x = (  # verify: allow[SCP001] why\n") == ()
