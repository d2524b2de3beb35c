"""What a fix is: from a finding to the edits that mend it, and how much may be trusted to them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from verifier.edits import SourceText
from verifier.model.stage import Stash

if TYPE_CHECKING:
    from verifier.edits import Edit
    from verifier.model.finding import Finding
    from verifier.model.task import Config
    from verifier.sources import SourceFile, SourceTree

Safety = Literal["safe", "unsafe"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Repair:
    """How one finding is mended.

    Args:
        edits: by path; a repair may touch several files, and is applied as a whole or not at all.
        what: what it does, in one short sentence without a full stop, for the list of what was fixed.
        safety: where it differs from what the fix promises at best.
    """

    edits: Mapping[str, tuple[Edit, ...]]
    what: str
    safety: Safety | None = None


@dataclass(slots=True)
class FixContext:
    """What a fix may look at: the files as they are now, those that this run has edited among them.

    Args:
        stash: lives as long as these files; a fix keeps there what others need too.
    """

    config: Config
    sources: SourceTree
    stash: Stash = field(default_factory=Stash)
    _texts: dict[str, SourceText] = field(default_factory=dict)

    def file(self, path: str) -> SourceFile | None:
        return self.sources.get(path)

    def text(self, path: str) -> SourceText:
        """Return a file's text.

        Raises:
            UneditableError: its encoding is unknown, or does not give the same bytes back.
            KeyError: the run has no such file, or it could not be read.
        """
        if path not in self._texts:
            file = self.sources.get(path)
            if file is None or file.data is None:
                raise KeyError(path)
            self._texts[path] = SourceText.of(file.data)
        return self._texts[path]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fix:
    """Mends the findings of one rule.

    Args:
        rule: its code.
        safety: "safe": the program does the same as before, but for the bug. A finding that is less severe than its
            rule is only suspected, and its fix never safe.
        summary: what the fix does, in one sentence.
        repair: gives the edits for a finding, or None where it cannot be mended soundly. It is asked only for
            findings in Python files that parse, and must not write, run or import anything of the project.
        declines: when it gives None though the rule reports, in one sentence; "" where it never does.
        reveals: codes of rules that see in the new text what was wrong in the old one already, and was not reported
            there; findings of these do not speak against the fix.
        shown: whether a report shows its diff; not where working it out costs a process.
    """

    rule: str
    safety: Safety
    summary: str
    repair: Callable[[Finding, FixContext], Repair | None]
    declines: str = ""
    reveals: tuple[str, ...] = ()
    shown: bool = True
