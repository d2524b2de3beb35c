from __future__ import annotations

from urllib.parse import unquote, urlsplit

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from reports.places import file_of, some_file, uri
from tests.builders import run_report


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("a/b.py", "a/b.py"),
        ("./a.py", "a.py"),
        ("", "other.py"),
        (".", "other.py"),
        ("/", "other.py"),
        ("/usr/lib/x.py", "usr/lib/x.py"),
        ("C:\\work\\x.py", "work/x.py"),
        ("//host/x.py", "host/x.py"),
    ],
)
def test_every_place_has_a_relative_file(path, expected):
    assert file_of(path, "other.py") == expected


def test_a_report_without_files_names_the_configuration():
    assert some_file(run_report(files={})) == "pyproject.toml"
    assert some_file(run_report(files={"b.py": 1, "a.py": 1})) == "a.py"


@given(st.text())
@example("http://evil.example/x")
@example("//evil.example/x")
@example("a b#c?d%e")
@example("\ud800")
def test_no_path_is_a_reference_to_elsewhere(path):
    made = uri(file_of(path, "other.py"))
    parts = urlsplit(made)
    assert made.isascii()
    assert (parts.scheme, parts.netloc, parts.query, parts.fragment) == ("", "", "", "")
    assert made
    if path.isprintable() and "\\" not in path:
        assert unquote(made) == file_of(path, "other.py")
