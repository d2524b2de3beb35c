"""Decides which findings of a run a baseline covers: by fingerprint, each entry once, never one that got worse."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import TYPE_CHECKING

from verifier.model.finding import Severity

if TYPE_CHECKING:
    from verifier.baseline.document import Entry
    from verifier.model.finding import Finding


class Cover:
    """What is left to be covered in one judging of one task. Every entry covers one finding.

    Args:
        adopt: whatever is found is accepted now.
    """

    def __init__(self, entries: Iterable[Entry], task: str, *, adopt: bool = False) -> None:
        self._adopt = adopt
        by_mark: dict[str, dict[str, list[Entry]]] = defaultdict(lambda: defaultdict(list))
        for entry in entries:
            by_mark[entry.fingerprint][entry.task].append(entry)
        # Tasks may share a file, and its finding is then the same one: what one task accepted holds in the other.
        self._free = {mark: _of_one_task(tasks, task) for mark, tasks in by_mark.items()}

    def takes(self, finding: Finding, fingerprint: str, *, counts: bool) -> bool:
        """Say whether the finding is accepted, and use up the entry that says so.

        Args:
            counts: the finding costs something, or a gate that counts findings sees it.
        """
        free = self._free.get(fingerprint, [])
        fits = next((entry for entry in free if _still_fits(entry, finding)), None)
        if fits is not None:
            free.remove(fits)
            return True
        return self._adopt and counts


def _still_fits(entry: Entry, finding: Finding) -> bool:
    """Say whether the finding is no worse than what was accepted: as severe, and in as many places, at most."""
    return Severity[entry.severity] >= finding.severity and entry.places >= 1 + len(finding.related)


def _of_one_task(tasks: dict[str, list[Entry]], own: str) -> list[Entry]:
    return max(tasks.items(), key=lambda item: (len(item[1]), item[0] == own))[1]
