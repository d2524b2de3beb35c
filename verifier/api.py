"""Everything a plugin may import from the core. Re-exports only."""

from verifier.cache.codec import NotPlainError, finding_from_json, finding_to_json
from verifier.cache.seen import (
    Seen,
    add_notes,
    is_file,
    is_folder,
    is_there,
    may_differ_next_time,
    taken_notes,
    to_list,
    walk_folders,
)
from verifier.cache.shelf import Shelf
from verifier.children import has_ended
from verifier.edits import Edit, SourceText, UneditableError
from verifier.errors import BaselineError, MachineError, StageError, VerifierError
from verifier.git import ask_git
from verifier.globs import compile_glob
from verifier.hookspecs import hookimpl
from verifier.marks import FOUND
from verifier.model.analysis import (
    ANALYSIS_SCHEMA,
    VERDICT_RULE,
    AnalysisFormat,
    AnalysisReport,
    ModuleAnalysis,
    Soundness,
)
from verifier.model.baseline import KeptFile
from verifier.model.calibration import Calibrator
from verifier.model.comparison import (
    COMPARISON_SCHEMA,
    ChangedFinding,
    ChangedStatus,
    ComparedFigure,
    Comparison,
    ComparisonFormat,
    Turn,
)
from verifier.model.finding import Evidence, Finding, Json, Location, Related, Severity
from verifier.model.fix import Fix, FixContext, Repair, Safety
from verifier.model.isolation import LEVELS, SANDBOXES, is_reserved
from verifier.model.machine import Ability, State
from verifier.model.mutation import Mutation, MutationOperator
from verifier.model.report import (
    SCHEMA,
    Acceptance,
    Deferred,
    FileRecord,
    NotRun,
    Proof,
    Renderer,
    RunReport,
    Source,
    Suppressed,
    Verdict,
)
from verifier.model.requirement import ANY_DEVICE, Bound, Requirement
from verifier.model.rule import Bad, Example, Good, Rule, RuleInfo
from verifier.model.stage import (
    Gate,
    GateStatus,
    Key,
    Mark,
    Need,
    Reported,
    Resources,
    RunOptions,
    Searched,
    Stage,
    StageContext,
    StageOutcome,
    StageResult,
    StageStatus,
    Stash,
    nothing_besides,
)
from verifier.model.task import Config, Criterion, Program, Script, Task
from verifier.notebooks.file import NotebookFile
from verifier.notebooks.model import Cell, Notebook
from verifier.plugins import Plugins, load_plugins
from verifier.printable import LINE_LIMIT, cut, inert, one_line, visible
from verifier.redaction import SECRETS, masked, without_secrets
from verifier.saved.report import SavedFinding, SavedReport
from verifier.selection import others_of_project, rest_of_project, task_sources
from verifier.sources import EditedFile, SourceFile, SourceTree, read_regular
from verifier.toml_places import line_of

__all__ = [
    "ANALYSIS_SCHEMA",
    "ANY_DEVICE",
    "COMPARISON_SCHEMA",
    "FOUND",
    "LEVELS",
    "LINE_LIMIT",
    "SANDBOXES",
    "SCHEMA",
    "SECRETS",
    "VERDICT_RULE",
    "Ability",
    "Acceptance",
    "AnalysisFormat",
    "AnalysisReport",
    "Bad",
    "BaselineError",
    "Bound",
    "Calibrator",
    "Cell",
    "ChangedFinding",
    "ChangedStatus",
    "ComparedFigure",
    "Comparison",
    "ComparisonFormat",
    "Config",
    "Criterion",
    "Deferred",
    "Edit",
    "EditedFile",
    "Evidence",
    "Example",
    "FileRecord",
    "Finding",
    "Fix",
    "FixContext",
    "Gate",
    "GateStatus",
    "Good",
    "Json",
    "KeptFile",
    "Key",
    "Location",
    "MachineError",
    "Mark",
    "ModuleAnalysis",
    "Mutation",
    "MutationOperator",
    "Need",
    "NotPlainError",
    "NotRun",
    "Notebook",
    "NotebookFile",
    "Plugins",
    "Program",
    "Proof",
    "Related",
    "Renderer",
    "Repair",
    "Reported",
    "Requirement",
    "Resources",
    "Rule",
    "RuleInfo",
    "RunOptions",
    "RunReport",
    "Safety",
    "SavedFinding",
    "SavedReport",
    "Script",
    "Searched",
    "Seen",
    "Severity",
    "Shelf",
    "Soundness",
    "Source",
    "SourceFile",
    "SourceText",
    "SourceTree",
    "Stage",
    "StageContext",
    "StageError",
    "StageOutcome",
    "StageResult",
    "StageStatus",
    "Stash",
    "State",
    "Suppressed",
    "Task",
    "Turn",
    "UneditableError",
    "Verdict",
    "VerifierError",
    "add_notes",
    "ask_git",
    "compile_glob",
    "cut",
    "finding_from_json",
    "finding_to_json",
    "has_ended",
    "hookimpl",
    "inert",
    "is_file",
    "is_folder",
    "is_reserved",
    "is_there",
    "line_of",
    "load_plugins",
    "masked",
    "may_differ_next_time",
    "nothing_besides",
    "one_line",
    "others_of_project",
    "read_regular",
    "rest_of_project",
    "taken_notes",
    "task_sources",
    "to_list",
    "visible",
    "walk_folders",
    "without_secrets",
]
