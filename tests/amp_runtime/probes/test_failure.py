"""Exceptions and dumps are described at the project's own lines, whatever the exception does about it."""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn

import pytest

from amp_runtime.probes.failure import Project, safe_text
from amp_runtime.wire import Frame

if TYPE_CHECKING:
    from pathlib import Path


class HostileError(Exception):
    def __str__(self) -> str:
        raise KeyboardInterrupt

    @property
    def __cause__(self) -> NoReturn:  # type: ignore[override]
        raise SystemExit


def raised(path: Path, text: str) -> BaseException:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    with pytest.raises(BaseException) as caught:  # noqa: PT011  whatever the text raises
        exec(compile(text, str(path), "exec"), {"HostileError": HostileError})
    return caught.value


def test_the_frames_are_those_of_the_project(tmp_path: Path) -> None:
    error = raised(tmp_path / "pkg" / "a.py", "import json\n\n\ndef f():\n    json.loads('{')\n\n\nf()\n")
    failure = Project(str(tmp_path)).describe(error)
    assert failure.type == "JSONDecodeError"
    assert failure.frames == (
        Frame(path="pkg/a.py", line=8, function="<module>"),
        Frame(path="pkg/a.py", line=5, function="f"),
    )
    assert failure.text.startswith('  File "pkg/a.py", line 8, in <module>\n    f()')


def test_a_hostile_exception_is_described(tmp_path: Path) -> None:
    failure = Project(str(tmp_path)).describe(raised(tmp_path / "a.py", "raise HostileError\n"))
    assert failure.type == "HostileError"
    assert failure.message == "<its text cannot be shown: __str__ raised KeyboardInterrupt>"
    assert failure.frames[-1].line == 1


def test_what_an_error_was_raised_from_gives_the_place_where_it_has_none(tmp_path: Path) -> None:
    cause = raised(tmp_path / "a.py", "x = 1\nraise KeyError('k')\n")
    error = RuntimeError("outer")
    error.__cause__ = cause
    failure = Project(str(tmp_path)).describe(error)
    assert failure.frames == (Frame(path="a.py", line=2, function="<module>"),)
    assert "KeyError" in failure.text


@pytest.mark.parametrize("folder", [".venv/lib", "env/lib/python3.11/site-packages", ".tox/py"])
def test_environments_inside_the_root_are_not_the_project(tmp_path: Path, folder: str) -> None:
    assert Project(str(tmp_path)).relative(str(tmp_path / folder / "a.py")) is None
    assert Project(str(tmp_path)).relative(str(tmp_path / "lib" / "a.py")) == "lib/a.py"


def test_code_without_a_file_is_not_the_project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert Project(str(tmp_path)).relative("<string>") is None


def test_a_dump_gives_the_failing_threads_stack_outermost_first(tmp_path: Path) -> None:
    dump = (
        "Fatal Python error: Segmentation fault\n\n"
        'Thread 0x01 (most recent call first):\n  File "{0}/other.py", line 9 in wait\n\n'
        'Current thread 0x02 (most recent call first):\n  File "/lib/ctypes.py", line 1 in string_at\n'
        '  File "{0}/a.py", line 3 in inner\n  File "{0}/a.py", line 7 in <module>\n'
    ).format(tmp_path.resolve())
    assert Project(str(tmp_path)).stack(dump) == (
        Frame(path="a.py", line=7, function="<module>"),
        Frame(path="a.py", line=3, function="inner"),
    )


def test_a_string_subclass_comes_out_as_an_exact_short_string() -> None:
    class Text(str):
        def __getitem__(self, key: object) -> NoReturn:
            raise SystemExit

    class LoudError(Exception):
        def __str__(self) -> str:
            return Text("x" * 10_000)

    assert type(safe_text(LoudError())) is str
    assert len(safe_text(LoudError())) == 2000
