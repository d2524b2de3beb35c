"""`verify analyze`: the module of system D with every fault named, sound modules of ours, streams and exit codes."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from verifier.analysis import AnalyzeOptions, analyze, run_analyze
from verifier.config import load_config
from verifier.errors import UsageError
from verifier.model.analysis import AnalysisReport, Soundness
from verifier.plugins import load_plugins
from verifier.selection import check_sources

ROOT = Path(__file__).parents[2]
VALIDATOR = "pilot/utils/compilation_validator.py"


def options(**given: Any) -> AnalyzeOptions:
    defaults = {"formats": (), "output": None, "config_file": None, "python": None, "quiet": False}
    return AnalyzeOptions(**(defaults | {"command": ("verify", "analyze")} | given))


def analyzed(root: Path, *paths: str) -> AnalysisReport:
    plugins = load_plugins()
    gates = {stage.name: stage.gates for stage in plugins.stages}
    config = load_config(root, file=None, gates=gates, codes=plugins.rules, essential=set())
    sources = check_sources(root, [root / path for path in paths], ())
    return analyze(config, sources, plugins, options())


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("module_analysis") / "project"
    shutil.copytree(ROOT / "tests/projects/module_analysis", root, ignore=shutil.ignore_patterns("__pycache__"))
    return root


@pytest.fixture(scope="module")
def validator(project: Path) -> AnalysisReport:
    return analyzed(project, VALIDATOR)


def test_every_fault_of_the_module_is_found(validator: AnalysisReport) -> None:
    lines = [line.strip() for line in (ROOT / "tests/projects/module_analysis" / VALIDATOR).read_text().splitlines()]
    found = {(item.finding.rule, lines[item.finding.location.line - 1]) for item in validator.modules[0].findings}
    assert found >= {
        ("LNT001", "import warnings"),
        ("MOD504", "def wrapper(*args, **kwargs):"),
        ("MOD501", "if self.performance_improvement:"),
        ("MOD505", "compile_kwargs = {name: value for name, value in compile_kwargs.items() if value is not None}"),
        ("MOD102", "original_model.eval()"),
        ("MOD102", "compiled_model.eval()"),
        ("MOD502", 'return hasattr(torch, "compile") and sys.version_info >= (3, 8)'),
        ("MOD506", 'self.enabled: bool = getattr(config_training, "enable_torch_compile", True)'),
    }


def test_the_module_needs_attention_and_no_more(validator: AnalysisReport) -> None:
    assert (validator.verdict, validator.modules[0].verdict) == (Soundness.NEEDS_ATTENTION,) * 2


def test_facts_tell_of_every_section(validator: AnalysisReport) -> None:
    facts: Any = validator.modules[0].facts
    assert facts["purpose"]["imported_by"] == [{"path": "pilot/train.py", "line": 7}]
    result, other = facts["interface"]["classes"]
    assert (result["name"], result["line"], result["end_line"]) == ("CompilationResult", 22, 37)
    assert result["fields"][5] == {
        "name": "performance_improvement", "type": "Optional[float]", "default": "None", "line": 30
    }  # fmt: skip
    assert other["methods"][1]["signature"] == (
        "(model: ActorCritic, sample_input: torch.Tensor, model_name: str = 'model')"
    )
    assert {row["module"] for row in facts["interface"]["dependencies"]["project"]} == {
        "pilot.core.actor_critic",
        "pilot.utils.benchmarker",
    }
    (handler,) = facts["robustness"]["handlers"]
    assert (handler["catches"], handler["broad"], handler["does"]) == (["Exception"], True, "returns")
    assert [row["over"] for row in facts["performance"]["warm_ups"]] == ["range(self.warmup_steps)"]
    assert not any(facts["security"].values())
    (settings,) = facts["maintainability"]["configuration_access"]
    assert (settings["parameter"], len(settings["settings"])) == ("config_training", 10)


def test_modules_of_ours_are_sound() -> None:
    report = analyzed(ROOT, "amp_runtime/precision.py", "amp_runtime/scaling.py")
    assert [(module.verdict, module.findings) for module in report.modules] == [(Soundness.SOUND, ())] * 2


def test_a_package_is_as_sound_as_its_worst_module(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code = run_analyze([project / "pilot"], options(formats=("json",)))
    streams = capsys.readouterr()
    document = json.loads(streams.out)
    verdicts = {module["path"]: module["verdict"] for module in document["modules"]}
    assert (code, document["schema"], document["verdict"]) == (1, "verifier-analysis/1", "NEEDS_ATTENTION")
    assert verdicts.pop(VALIDATOR) == "NEEDS_ATTENTION"
    assert set(verdicts.values()) == {"SOUND"}
    assert streams.err.splitlines()[0].startswith(f"NEEDS_ATTENTION  {VALIDATOR}  (1 MEDIUM, ")


def test_a_sound_module_is_exit_code_0_and_documents_go_to_the_folder(
    project: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "out"
    code = run_analyze([project / "pilot/train.py"], options(formats=("md,json",), output=str(folder)))
    assert (code, capsys.readouterr().out) == (0, "SOUND            pilot/train.py\n")
    assert (folder / "analysis.md").read_text().startswith("# Module analysis: `SOUND`\n")
    assert json.loads((folder / "analysis.json").read_text())["verdict"] == "SOUND"


def test_a_file_that_does_not_parse_is_unsound(tmp_path: Path) -> None:
    (tmp_path / "broken.py").write_text("def f(:\n")
    (module,) = analyzed(tmp_path, "broken.py").modules
    assert (module.verdict, dict(module.facts)) == (Soundness.UNSOUND, {})


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"formats": ("html",)}, '`verify analyze` has no format "html"'),
        ({"formats": ("md", "json")}, "several formats need a folder: give --output DIR"),
    ],
)
def test_wrong_use_is_one_sentence(project: Path, given: dict[str, Any], told: str) -> None:
    with pytest.raises(UsageError, match=told):
        run_analyze([project / "pilot"], options(**given))


def test_a_path_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"nothing\.py: there is no such file or folder"):
        run_analyze([tmp_path / "nothing.py"], options())
