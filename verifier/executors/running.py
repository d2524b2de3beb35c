"""`--executor ray`: tasks are verified on the nodes of a cluster, and their reports delivered here as any others."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping, Sequence
from functools import reduce
from operator import or_
from pathlib import Path
from typing import TYPE_CHECKING, Any

from verifier import __version__
from verifier.commands import delivered, exit_code, is_to_stdout, report_folder
from verifier.errors import StageError, UsageError
from verifier.executors.cluster import connected
from verifier.executors.dispatch import Job, Outcome, dispatch
from verifier.executors.request import Request, answer_from
from verifier.executors.snapshot import take
from verifier.git import commit_and_dirty
from verifier.model.stage import Resources
from verifier.output import print_text, write_documents
from verifier.printable import one_line
from verifier.saved.restoring import restored_from
from verifier.saved.shape import json_from
from verifier.selection import task_sources
from verifier.streams import complain, say
from verifier.terminal import summary

if TYPE_CHECKING:
    from verifier.commands import Options, Runner
    from verifier.model.report import Renderer, RunReport
    from verifier.model.stage import Stage, StageContext, StageOutcome
    from verifier.model.task import Task

PROGRAM = ("-m", "verifier.executors.node")
_GIB = 1 << 30
_REPORT = "report.json"


def run_on_cluster(
    runner: Runner, tasks: Sequence[Task], formats: Sequence[Renderer], *, several: bool
) -> dict[str, int]:
    """Verify the tasks, deliver their reports, and return the exit codes by task."""

    def tell(task: str, line: str) -> None:
        if runner.terminal.progress and not runner.terminal.quiet:
            complain(f"verify: {one_line(task)}: {one_line(line)}")

    by_name = {task.name: task for task in tasks}
    codes: dict[str, int] = {}
    jobs = _jobs(runner, tasks, formats)
    with connected(runner.options.executor, take(runner.config.root)) as cluster:
        for outcome in dispatch(cluster, jobs, PROGRAM, tell):
            name = outcome.job.task
            codes[name] = _delivered(runner, by_name[name], outcome, formats, several=several)
    return {task.name: codes[task.name] for task in tasks}


def _jobs(runner: Runner, tasks: Sequence[Task], formats: Sequence[Renderer]) -> list[Job]:
    root, stamp = runner.config.root, runner.selection.stamp
    wanted = tuple(dict.fromkeys([*(one.name for one in formats), "json"]))
    options, need, checkout = _relative(runner.options, root), _need(runner), commit_and_dirty(root)
    requests = (
        Request(
            task=task.name,
            version=__version__,
            options=options,
            formats=wanted,
            checkout=checkout,
            stamp=None if stamp is None else stamp.as_facts(),
        )
        for task in tasks
    )
    return [Job(task=request.task, need=need, request=request.as_json()) for request in requests]


def _need(runner: Runner) -> Resources:
    """Return what the stages of a task need, which share one node as each builds on what the others leave."""
    need = reduce(or_, (stage.required() for stage in runner.selection.stages), Resources())
    limit = runner.options.memory_limit
    return dataclasses.replace(need, memory_bytes=int(limit * _GIB)) if limit and need.gpus else need


def _relative(options: Options, root: Path) -> Options:
    """Return the options with paths as they are in the snapshot."""
    placed: dict[str, Any] = {}
    for name in ("config_file", "baseline"):
        path = getattr(options, name)
        if path is None:
            continue
        absolute = Path(os.path.abspath(path))  # noqa: PTH100 - a link stays a link
        if not absolute.is_relative_to(root):
            raise UsageError(f"--executor {options.executor}: {path} lies outside of {root}, which is what nodes get")
        placed[name] = absolute.relative_to(root)
    return dataclasses.replace(options, executor="local", shard=None, jobs=None, **placed)


def _delivered(runner: Runner, task: Task, outcome: Outcome, formats: Sequence[Renderer], *, several: bool) -> int:
    if outcome.failed:
        return delivered(runner, _without_worker(runner, task, outcome.failed), formats, several)
    answer = answer_from(outcome.answer)
    if answer.error:
        complain(f"verify: task {one_line(task.name)} has no report: {answer.error}")
        return answer.code
    report = restored_from(Path(_REPORT), json_from(answer.documents[_REPORT], Path(_REPORT)), runner.plugins.rules)
    to_stdout = is_to_stdout(runner.options, formats)
    written: tuple[Path, ...] = ()
    if to_stdout:
        print_text(answer.documents[formats[0].filename])
    else:
        folder = report_folder(runner.options.output, runner.config.root, task.name, several=several)
        written = write_documents(
            _asked_for(answer.documents, formats), formats, folder, ours=runner.options.output is None
        )
    if not runner.terminal.quiet:
        tell = complain if to_stdout else say
        tell(summary(report, runner.terminal, written), colour=runner.terminal.colour)
    return exit_code(report)


def _asked_for(documents: Mapping[str, str], formats: Sequence[Renderer]) -> Mapping[str, str]:
    """Return the documents without the JSON, where only this process wanted it."""
    wanted = any(one.filename == _REPORT for one in formats)
    return documents if wanted else {name: text for name, text in documents.items() if name != _REPORT}


def _without_worker(runner: Runner, task: Task, reason: str) -> RunReport:
    """Return the report of a task that no node has answered for: its stages are ERRORED, so it is BLOCKed."""

    def fail(_: StageContext) -> StageOutcome:
        raise StageError(f"no node of the cluster verified it: {reason}")

    def failing(stage: Stage) -> Stage:
        return dataclasses.replace(stage, run=fail)

    selection = dataclasses.replace(runner.selection, stages=tuple(map(failing, runner.selection.stages)))
    return dataclasses.replace(runner, selection=selection).run(task, task_sources(runner.config, task))
