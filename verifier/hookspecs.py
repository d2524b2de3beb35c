"""The whole plugin contract. Read this first to write a stage, a rule or a report format."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import pluggy

if TYPE_CHECKING:
    from pathlib import Path

    from verifier.model.analysis import AnalysisFormat
    from verifier.model.baseline import KeptFile
    from verifier.model.calibration import Calibrator
    from verifier.model.comparison import ComparisonFormat
    from verifier.model.finding import Json
    from verifier.model.fix import Fix
    from verifier.model.machine import Ability
    from verifier.model.mutation import MutationOperator
    from verifier.model.report import Renderer, RunReport
    from verifier.model.rule import Rule
    from verifier.model.stage import Stage, StageContext, StageResult
    from verifier.model.task import Config

PROJECT = "verifier"
ENTRY_POINTS = "verifier.plugins"

hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


@hookspec
def verifier_stages() -> Iterable[Stage]:
    """Return the stages this plugin adds. Called once; must not run or import anything heavy."""
    return ()


@hookspec
def verifier_rules() -> Iterable[Rule]:
    """Return rules that join a stage which exists; each names it. Stages declare their own rules themselves."""
    return ()


@hookspec
def verifier_fixes() -> Iterable[Fix]:
    """Return fixes for findings of rules that exist, one a rule, whoever brings the rule."""
    return ()


@hookspec
def verifier_renderers() -> Iterable[Renderer]:
    """Return the report formats this plugin adds."""
    return ()


@hookspec
def verifier_mutations() -> Iterable[MutationOperator]:
    """Return the hazards that `verify mutate` can put into working code."""
    return ()


@hookspec
def verifier_machine(config: Config, python: Path) -> Iterable[Ability]:
    """Say what this machine offers to your stages and formats. Only `verify doctor` asks.

    Processes may be started, with a time-out; torch must not be imported in this one.

    Args:
        config: of the project; without tasks where there is none.
        python: interpreter of the verified project.
    """
    return ()


@hookspec
def verifier_calibrators() -> Iterable[Calibrator]:
    """Return the program that measures a machine. Only `verify calibrate` asks, and there is one."""
    return ()


@hookspec
def verifier_module_facts(context: StageContext, facts: Mapping[str, Any]) -> Mapping[str, Mapping[str, Json]]:
    """Return path -> section -> facts about single modules. Only `verify analyze` asks; nothing is run or imported.

    Args:
        context: of the run that was.
        facts: what its stages established, by their names.
    """
    return {}


@hookspec
def verifier_analysis_formats() -> Iterable[AnalysisFormat]:
    """Return the formats this plugin adds to `verify analyze`."""
    return ()


@hookspec
def verifier_baseline(report: RunReport, root: Path, reason: str | None) -> Iterable[KeptFile]:
    """Return what later runs are to be compared with, as files that belong into version control.

    Only `--save-baseline` asks, once the report is written. Nothing may be written here: the core does that.

    Args:
        report: of the run; it passed, unless there is a reason.
        root: of the project; paths of files are relative to it.
        reason: why a run is kept that would else be refused, in the user's words.

    Raises:
        BaselineError: the run is not fit to be one, or what was kept before cannot be read.
    """
    return ()


@hookspec
def verifier_comparison_formats() -> Iterable[ComparisonFormat]:
    """Return the formats this plugin adds to `verify compare`."""
    return ()


@hookspec
def verifier_stage_finished(result: StageResult) -> None:
    """Observe a finished stage. The result cannot be changed."""


@hookspec
def verifier_run_finished(report: RunReport) -> None:
    """Observe a finished task. The report cannot be changed."""
