"""Runs stages over a task in which some files have other content, without telling observers of runs."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pluggy

from verifier import hookspecs
from verifier.model.stage import StageContext, Stash
from verifier.mutation.overlay import overlaid
from verifier.pipeline import run_stages

if TYPE_CHECKING:
    from verifier.model.stage import RunOptions, Stage, StageResult
    from verifier.model.task import Config, Task
    from verifier.plugins import Plugins
    from verifier.sources import SourceTree


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """A task, and how it is looked at."""

    task: Task
    config: Config
    sources: SourceTree
    plugins: Plugins
    options: RunOptions

    def results(
        self, stages: Sequence[Stage], replaced: Mapping[str, bytes], task: Task | None = None
    ) -> tuple[StageResult, ...]:
        """Run these stages, as if files had other content."""
        context = StageContext(
            root=self.config.root,
            task=task or self.task,
            config=self.config,
            sources=overlaid(self.sources, replaced),
            options=self.options,
            stash=Stash(),
            progress=lambda _line: None,
            rules=self.plugins.rules,
        )
        return run_stages(stages, context, self._unobserved()).stages

    def reading(self) -> tuple[Stage, ...]:
        """Return the stages that only read, up to the last one of which an operator names a rule."""
        reading = tuple(stage for stage in self.plugins.stages if not stage.runs_code)
        named = {code for operator in self.plugins.mutations for code in operator.codes}
        last = max((one.number for one in reading if any(rule.code in named for rule in one.rules)), default=None)
        return tuple(stage for stage in reading if last is None or stage.number <= last)

    def _unobserved(self) -> Plugins:
        manager = pluggy.PluginManager(hookspecs.PROJECT)
        manager.add_hookspecs(hookspecs)
        return dataclasses.replace(self.plugins, manager=manager)
