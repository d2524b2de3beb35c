"""Decides what is compared with saved runs, and starts more processes where one alone looks slower."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from stages.performance.baselines.deciding import GATE, Asked, Verdicts, decide, everything, has_any, suspects
from stages.performance.gates import GATES
from verifier.api import Gate, GateStatus, Location

if TYPE_CHECKING:
    from stages.performance.measurement import Measurement
    from verifier.api import Requirement, StageContext

MORE = 2  # processes, each of which has to show what the first did
Again = Callable[[Sequence[str]], "Sequence[Measurement]"]


@dataclass(frozen=True, slots=True, kw_only=True)
class AgainstSaved:
    """Compares a run with the saved ones.

    Args:
        again: measures workloads once more, each in a process of its own.
    """

    context: StageContext
    configuration: Location
    again: Again

    def verdicts(self, measurements: Sequence[Measurement]) -> Verdicts | None:
        """Return what the saved runs say; None where nothing asks, and nothing is saved for this machine class."""
        task, root = self.context.task, self.context.root
        measured = [one for one in measurements if one.kind == "workload"]
        facts = [one.fact() for one in measured]
        requirement = next((one for one in task.requirements if one.name == GATE), None)
        if requirement is None:
            if not has_any(root, task.name, facts):
                return None
            asked = Asked(task=task.name, least=everything(facts), text="", place=self.configuration)
        else:
            asked = self._asked(requirement, measured)
            if measured and not asked.least and (elsewhere := self._elsewhere(requirement, measured)):
                return elsewhere
        strict = self.context.options.strict
        found = decide(root, asked, facts, GATES[GATE], strict=strict)
        if not (names := suspects(found)):
            return found
        self.context.progress(f"measuring {', '.join(names)} again, in {MORE} more processes each")
        more = [one.fact() for one in self.again(names * MORE)]
        return decide(root, asked, facts, GATES[GATE], strict=strict, again=more)

    def _asked(self, requirement: Requirement, measured: Sequence[Measurement]) -> Asked:
        least = {
            one.name: bound.value
            for one in measured
            if one.device is not None
            and requirement.concerns(one.name)
            and (bound := requirement.bound_for(one.device.device)) is not None
        }
        place = Location(path=self.configuration.path, line=requirement.line)
        return Asked(task=self.context.task.name, least=least, text=requirement.text(), place=place)

    def _elsewhere(self, requirement: Requirement, measured: Sequence[Measurement]) -> Verdicts | None:
        """Return the deferred gate where the requirement names only devices on which nothing ran."""
        wanted = tuple(requirement.bounds)
        devices = {one.device.device for one in measured if one.device and requirement.concerns(one.name)}
        if not devices:
            return None
        evidence = f"needs {' or '.join(wanted)}, and this ran on {', '.join(sorted(devices))}"
        said = f"{GATES[GATE]}: {requirement.text()}"
        gate = Gate(name=GATE, requirement=said, status=GateStatus.DEFERRED, evidence=evidence, lacks=wanted)
        return Verdicts(gate=gate, findings=(), facts=[])
