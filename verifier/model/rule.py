"""What a rule is, and the examples that are its tests and its page. Knows no parser."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from verifier.model.finding import Finding, Severity
    from verifier.sources import SourceFile

_CODE = re.compile(r"[A-Z]{3}\d{3}\Z")
_NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*\Z")
_FILE = re.compile(r"^# --- (?P<path>\S+)[ \t]*$", re.MULTILINE)
_SEEN = {"static": "in source text", "runtime": "at run time", "both": "in source text and at run time"}
# a stage that runs nothing lists what only a run can show, so that the catalogue is whole
_READ_ONLY = {"runtime": "at run time only", "both": "in source text; at run time too"}
_MARK = re.compile(r"# expect: (?P<codes>[A-Z0-9, ]+)")


@dataclass(frozen=True, slots=True)
class Example:
    """A small program. `# expect: CODE[, CODE]` marks the lines on which rules must report.

    A line `# --- path.py` begins the next file of an example with several files.
    """

    code: str

    @property
    def files(self) -> dict[str, str]:
        """Return path -> text; a single file is called example.py."""
        text = textwrap.dedent(self.code).lstrip("\n")
        parts = _FILE.split(text)
        files = {"example.py": parts[0]} if parts[0].strip() else {}
        return files | {path.strip(): body.lstrip("\n") for path, body in zip(parts[1::2], parts[2::2], strict=True)}

    @property
    def shown(self) -> dict[str, str]:
        """Return the files as a page shows them: the marks of the tests become comments for people."""
        return {path: _MARK.sub(r"# \g<codes>", text).rstrip() + "\n" for path, text in self.files.items()}

    @property
    def expected(self) -> tuple[tuple[str, int, str], ...]:
        """Return (path, line, code) of every mark."""
        return tuple(
            (path, number, code.strip())
            for path, text in self.files.items()
            for number, line in enumerate(text.splitlines(), start=1)
            if (mark := _MARK.search(line))
            for code in mark["codes"].split(",")
        )


class Bad(Example):
    """A program the rule must report, on exactly the marked lines."""


class Good(Example):
    """A program the rule must not report."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleInfo:
    """A rule's metadata: what `verify rules` lists and a rule's page shows.

    Args:
        code: three letters and three digits, unique among all plugins.
        name: kebab-case, says what is wrong, reads after the word "allow".
        severity: the usual one; a finding may carry another where the rule says so.
        summary: one sentence, what is wrong.
        why: one paragraph, why it matters.
        mode: whether it is seen in source text, at run time, or both.
        essential: its findings say that something could not be judged at all, so neither `--ignore` nor
            `per-file-ignores` leaves them out.
        unseen: where it is looked for in source text only, or in runs only, or nowhere: why, in a sentence or two.

    Raises:
        ValueError: a code or name that is not of this form.
    """

    code: str
    name: str
    severity: Severity
    summary: str
    why: str
    mode: Literal["static", "runtime", "both"] = "static"
    examples: tuple[Bad | Good, ...] = ()
    essential: bool = False
    unseen: str = ""

    def __post_init__(self) -> None:
        if not _CODE.match(self.code):
            raise ValueError(f"rule code {self.code!r} is not three capital letters and three digits")
        if not _NAME.match(self.name):
            raise ValueError(f"rule name {self.name!r} of {self.code} is not kebab-case")

    def seen(self, *, runs_code: bool, heard_by: str = "") -> str:
        """Say where the rule looks.

        Args:
            runs_code: the stage that the rule belongs to runs code, and sees all of it by itself.
            heard_by: the stage that looks for it at run time, where the rule belongs to one that only reads.
        """
        if runs_code or self.mode not in _READ_ONLY:
            return _SEEN[self.mode]
        who = f"by stage {heard_by}" if heard_by else "which no stage of this version looks for"
        return f"{_READ_ONLY[self.mode]}, {who}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """A rule that a plugin adds to a stage: its metadata and a check of one file.

    The core calls `check` for every Python file of the task once the stage of that name has run; whatever it
    yields must carry the code of `info`.
    """

    info: RuleInfo
    stage: str
    check: Callable[[SourceFile], Iterable[Finding]]
