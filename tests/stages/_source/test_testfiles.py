"""Which files are tests."""

from __future__ import annotations

import pytest

from stages._source.testfiles import is_test_file


@pytest.mark.parametrize(
    "path", ["test_a.py", "pkg/a_test.py", "conftest.py", "tests/helpers.py", "pkg/test/data/x.py"]
)
def test_test_files(path: str) -> None:
    assert is_test_file(path)


@pytest.mark.parametrize("path", ["testing.py", "pkg/latest.py", "contest.py", "attests/a.py", "tests.py"])
def test_other_files(path: str) -> None:
    assert not is_test_file(path)
