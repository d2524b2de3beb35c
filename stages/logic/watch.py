"""Finds the rules of this stage and what each of them wants to look at."""

from __future__ import annotations

import functools
import importlib
import pkgutil
from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from stages.logic import rules

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from stages._source.program.project import Project
    from stages._source.wanted import Wanted
    from stages.logic.dtypes.known import Unit
    from stages.logic.engine.events import Event
    from stages.logic.problems import Problem
    from stages.logic.suspects import Spoken
    from stages.logic.view import View

    Check = Callable[[Event], Iterable[Problem]]
    Inspect = Callable[[View], Iterable[Problem]]
    Judge = Callable[[Project, Unit], Iterable[Problem]]


@dataclass(frozen=True, slots=True)
class Watchers:
    """What rules look at.

    Args:
        checks: kind of event -> (code, check), for rules that follow paths. A rule lists them as
            `CHECKS = {Clipped: check, ...}`.
        inspections: (code, reads, inspect), for rules that read one file at a time: a function `inspect(view)`, asked
            about files that speak of AMP and whose code has what the rule's `READS` says (without regard to torch).
        judges: (code, judge), for rules about dtypes: a function `judge(project, unit)`, asked about every function
            that is known to run in low precision.
        doubtful: codes of those judges that are also asked about functions that may run in low precision, each with
            what a project has to speak of: a rule says `SUSPECTS = "float16"`, `"low"` or `"any"`.
        suspicions: (code, suspect), for rules that look at one file as `inspect` does, but at code that is not known to
            run in low precision: a function `suspect(view)`.
        soundness: (code, wanted, look), for rules about modules that need not speak of AMP: a function `look(view)`,
            asked about files whose text is as the rule's `WANTED` says.
    """

    checks: Mapping[type, Sequence[tuple[str, Check]]]
    inspections: Sequence[tuple[str, Wanted, Inspect]]
    judges: Sequence[tuple[str, Judge]] = ()
    doubtful: Mapping[str, str] = field(default_factory=dict)
    suspicions: Sequence[tuple[str, Inspect]] = ()
    soundness: Sequence[tuple[str, Wanted, Inspect]] = ()

    def suspecting(self, spoken: Spoken) -> list[tuple[str, Judge]]:
        """Return the judges to be asked about what may run in the low precision that a project speaks of."""
        wanted = ["any", *(["low"] if spoken.low else []), *(["float16"] if spoken.float16 else [])]
        return [(code, judge) for code, judge in self.judges if self.doubtful.get(code) in wanted]


@functools.cache
def watchers() -> Watchers:
    """Return what every rule of the stage looks at."""
    checks: defaultdict[type, list[tuple[str, Check]]] = defaultdict(list)
    inspections: list[tuple[str, Wanted, Inspect]] = []
    judges: list[tuple[str, Judge]] = []
    doubtful: dict[str, str] = {}
    suspicions: list[tuple[str, Inspect]] = []
    soundness: list[tuple[str, Wanted, Inspect]] = []
    for info in pkgutil.iter_modules(rules.__path__):
        module = importlib.import_module(f"{rules.__name__}.{info.name}")
        for kind, check in getattr(module, "CHECKS", {}).items():
            checks[kind].append((module.RULE.code, check))
        if hasattr(module, "inspect"):
            inspections.append((module.RULE.code, module.READS, module.inspect))
        if hasattr(module, "judge"):
            judges.append((module.RULE.code, module.judge))
        if hasattr(module, "SUSPECTS"):
            doubtful[module.RULE.code] = module.SUSPECTS
        if hasattr(module, "suspect"):
            suspicions.append((module.RULE.code, module.suspect))
        if hasattr(module, "look"):
            soundness.append((module.RULE.code, module.WANTED, module.look))
    return Watchers(dict(checks), inspections, judges, doubtful, suspicions, soundness)
