"""The configuration is read whole, or every mistake in it is said at once."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from verifier.config import load_config
from verifier.errors import ConfigError, UsageError
from verifier.model.finding import Severity
from verifier.model.task import Script

GATES = {"syntax": {"scope": "", "imports": ""}, "integration": {"tests": ""}}
GOOD = """
[tool.verifier]
source-roots = [".", "src"]
block-at = "medium"
exclude = ["build/**"]
per-file-ignores = { "scripts/*" = ["SCP"] }

[tool.verifier.tasks.T035]
title = "Mixed precision"
files = ["pkg/**/*.py"]
tests = ["tests"]
workloads = ["pkg.work:load"]

[[tool.verifier.tasks.T035.acceptance]]
text = "names resolve"
proven-by = ["syntax:scope", "integration:tests"]
"""


def _project(root: Path, text: str, name: str = "pyproject.toml") -> Path:
    for folder in ("src", "pkg", "tests"):
        (root / folder).mkdir(parents=True)
    (root / "pkg/a.py").write_text("x = 1\n")
    (root / name).write_text(text)
    return root


def _problems(root: Path, text: str) -> tuple[str, ...]:
    with pytest.raises(ConfigError) as caught:
        load_config(_project(root, text), gates=GATES, codes={"SCP001"})
    return caught.value.problems


def test_every_key_of_the_contract_is_read(tmp_path: Path) -> None:
    config = load_config(_project(tmp_path, GOOD), gates=GATES, codes={"SCP001"})
    task = config.tasks["T035"]
    assert config.block_at is Severity.MEDIUM
    assert (config.source_roots, config.exclude) == ((".", "src"), ("build/**",))
    assert config.per_file_ignores == {"scripts/*": ("SCP",)}
    assert (task.title, task.files, task.workloads) == ("Mixed precision", ("pkg/**/*.py",), ("pkg.work:load",))
    assert task.acceptance[0].proven_by == ("syntax:scope", "integration:tests")


def test_verifier_toml_has_the_same_tables_without_the_prefix(tmp_path: Path) -> None:
    text = GOOD.replace("tool.verifier.", "").replace("[tool.verifier]\n", "")
    config = load_config(_project(tmp_path, text, "verifier.toml"), gates=GATES, codes={"SCP001"})
    assert list(config.tasks) == ["T035"]


def test_all_mistakes_are_said_at_once_each_with_its_line_and_the_nearest_name(tmp_path: Path) -> None:
    problems = _problems(
        tmp_path,
        """
[tool.verifier]
block_at = "high"
block-at = "hihg"
source-roots = ["lib"]

[tool.verifier.tasks.T035]
files = ["nothing/**/*.py"]
tests = ["test"]
workload = ["x:y"]
workloads = ["no-colon"]

[[tool.verifier.tasks.T035.acceptance]]
text = "a"
proven-by = ["syntx:scope", "syntax:scop"]
""",
    )
    text = "\n".join(problems)
    assert len(problems) == 9
    for part in (
        'pyproject.toml:3: block_at: unknown key; did you mean "block-at"?',
        "pyproject.toml:4: block-at: 'hihg' is no severity; did you mean \"high\"?",
        "pyproject.toml:5: source-roots: there is no folder",
        'pyproject.toml:8: tasks.T035.files: "nothing/**/*.py" matches no file',
        "pyproject.toml:9: tasks.T035.tests: there is no test file or folder",
        'pyproject.toml:10: tasks.T035.workload: unknown key; did you mean "workloads"?',
        'pyproject.toml:11: tasks.T035.workloads: "no-colon" is not of the form',
        'names no stage of this version; did you mean "syntax"?',
        'names no gate of stage syntax; did you mean "scope"?',
    ):
        assert part in text


def _with_scripts(value: str) -> str:
    return f'[tool.verifier.tasks.T035]\nfiles = ["pkg/*.py"]\nscripts = {value}\n'


def test_scripts_are_read_with_what_switches_amp(tmp_path: Path) -> None:
    text = _with_scripts('[{ run = ["pkg/a.py", "--steps", "9"], amp = ["--amp"], fp32 = [] }]')
    task = load_config(_project(tmp_path, text), gates=GATES).tasks["T035"]
    assert task.scripts == (Script(run=("pkg/a.py", "--steps", "9"), amp=("--amp",)),)


@pytest.mark.parametrize(
    ("run", "module", "arguments"),
    [
        (("torchrun", "--nnodes=1", "pkg/a.py"), "torch.distributed.run", ("--nnodes=1", "pkg/a.py")),
        (("-m", "torch.distributed.run", "pkg/a.py"), "torch.distributed.run", ("pkg/a.py",)),
        (("-m", "pkg.a", "--lr", "1"), "pkg.a", ("--lr", "1")),
        (("pkg/a.py", "-m"), "", ("-m",)),
    ],
)  # fmt: skip
def test_a_script_may_be_started_by_a_launcher(
    tmp_path: Path, run: tuple[str, ...], module: str, arguments: tuple[str, ...]
) -> None:
    text = _with_scripts(f'[{{ run = {json.dumps(run)}, amp = ["--amp"] }}]')
    (script,) = load_config(_project(tmp_path, text), gates=GATES).tasks["T035"].scripts
    assert (script.module, script.arguments, script.file) == (module, arguments, "pkg/a.py")


@pytest.mark.parametrize(
    ("value", "part"),
    [
        ('["pkg/a.py"]', "must be a list of tables"),
        ('[{ run = ["torchrun", "--nnodes=1", "gone.py"], amp = ["--amp"] }]', 'there is no script "gone.py"'),
        ('[{ run = ["-m", "pkg.gone"], amp = ["--amp"] }]', 'there is no script "pkg/gone.py"'),
        ('[{ amp = ["--amp"] }]', "a script needs its file"),
        ('[{ run = ["gone.py"], amp = ["--amp"] }]', 'there is no script "gone.py"'),
        ('[{ run = ["pkg/a.py"] }]', "nothing switches AMP on and off"),
        ('[{ run = ["pkg/a.py"], amp = ["--amp"], bf16 = [] }]', "unknown key"),
        ('[{ run = ["pkg/a.py", 3], amp = ["--amp"] }]', "must be a list of non-empty strings"),
    ],
)
def test_a_script_that_cannot_be_run_is_said_with_its_line(tmp_path: Path, value: str, part: str) -> None:
    problems = _problems(tmp_path, _with_scripts(value))
    assert part in "\n".join(problems)
    assert all(problem.startswith("pyproject.toml:3: tasks.T035.scripts") for problem in problems)


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("[tool.verifier", "is not valid TOML"),
        ("[tool]\nverifier = 3\n", "must be a table"),
        ("[tool.verifier]\ntasks = 3\n", "must hold one table per task"),
        ('[tool.verifier.tasks.T035]\nfiles = "pkg/a.py"\n', "must be a list of non-empty strings"),
        (
            '[tool.verifier.tasks.T035]\nfiles = ["pkg/a.py"]\ntest-processes = 0\n',
            "must be a whole number of 1 or more",
        ),
        ('[tool.verifier.tasks.T035]\nfiles = ["pkg/a.py"]\ntest-processes = true\n', "must be a whole number"),
        ("[tool.verifier]\nper-file-ignores = { '*' = ['XYZ'] }\n", "is no rule or family"),
    ],
)
def test_a_wrong_value_names_its_place(tmp_path: Path, text: str, part: str) -> None:
    assert any(part in problem for problem in _problems(tmp_path, text))


def test_two_configurations_in_one_folder_are_refused(tmp_path: Path) -> None:
    (tmp_path / "verifier.toml").write_text("")
    with pytest.raises(ConfigError, match="keep one of them"):
        load_config(_project(tmp_path, GOOD), gates=GATES)


def test_a_pyproject_without_our_table_is_no_configuration(tmp_path: Path) -> None:
    config = load_config(_project(tmp_path, "[project]\nname = 'x'\n"), gates=GATES)
    assert config.path is None


def test_a_configuration_that_is_not_text_is_an_error_of_use(tmp_path: Path) -> None:
    (tmp_path / "verifier.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UsageError, match="it is not UTF-8 text"):
        load_config(tmp_path, file=tmp_path / "verifier.toml", gates=GATES)


def test_an_essential_rule_cannot_be_ignored(tmp_path: Path) -> None:
    text = GOOD.replace('["SCP"]', '["SYN001"]')
    with pytest.raises(ConfigError, match="SYN001 says what could not be judged; leave such files out with `exclude`"):
        load_config(_project(tmp_path, text), gates=GATES, codes={"SYN001"}, essential={"SYN001"})


def test_a_family_is_known_by_its_codes_and_essential_when_all_of_them_are(tmp_path: Path) -> None:
    config = load_config(_project(tmp_path, GOOD), gates=GATES, codes={"SCP001", "SYN001"}, essential={"SYN001"})
    assert list(config.per_file_ignores.values()) == [("SCP",)]
    text = GOOD.replace('["SCP"]', '["SYN"]')
    with pytest.raises(ConfigError, match="SYN says what could not be judged"):
        load_config(_project(tmp_path / "whole", text), gates=GATES, codes={"SCP001", "SYN001"}, essential={"SYN001"})


def test_what_the_cage_lets_through_is_configured_for_all_and_for_a_task(tmp_path: Path) -> None:
    cage = 'pass-env = ["HF_TOKEN"]\nallow-network = true\n'
    text = GOOD.replace("[tool.verifier]\n", f"[tool.verifier]\n{cage}").replace(
        'title = "Mixed precision"', 'title = "M"\npass-env = ["WANDB_MODE"]\nallow-network = false'
    )
    config = load_config(_project(tmp_path, text), gates=GATES, codes={"SCP001"})
    assert (config.pass_env, config.allow_network) == (("HF_TOKEN",), True)
    assert (config.tasks["T035"].pass_env, config.tasks["T035"].allow_network) == (("WANDB_MODE",), False)


def test_the_network_is_denied_and_nothing_handed_down_unless_said(tmp_path: Path) -> None:
    config = load_config(_project(tmp_path, GOOD), gates=GATES, codes={"SCP001"})
    assert (config.pass_env, config.allow_network) == ((), False)
    assert (config.tasks["T035"].pass_env, config.tasks["T035"].allow_network) == ((), None)


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ('pass-env = ["A=b"]', 'tool.verifier.pass-env: "A=b" is no name of an environment variable'),
        ('pass-env = ["PYTHONPATH"]', "PYTHONPATH would change the isolation itself"),
        ('pass-env = ["LD_PRELOAD"]', "LD_PRELOAD would change the isolation itself"),
        ('pass-env = ["HOME"]', "HOME would change the isolation itself"),
        ('pass-env = "HF_TOKEN"', "must be a list of non-empty strings"),
        ('allow-network = "yes"', "allow-network: must be true or false"),
        ("allow-networks = true", 'unknown key; did you mean "allow-network"?'),
    ],
)
def test_a_wrong_word_about_the_cage_is_refused_with_its_line(tmp_path: Path, line: str, problem: str) -> None:
    (said,) = _problems(tmp_path, GOOD.replace("[tool.verifier]\n", f"[tool.verifier]\n{line}\n"))
    assert said.startswith("pyproject.toml:3: ")
    assert problem.removeprefix("tool.verifier.") in said


def test_tests_may_be_named_by_a_glob(tmp_path):
    (tmp_path / "tests" / "unit").mkdir(parents=True)
    for name in ("test_b.py", "test_a.py", "data.json", "unit/test_c.py"):
        (tmp_path / "tests" / name).write_text("")
    (tmp_path / "a.py").write_text("")
    table = '[tool.verifier.tasks.T1]\nfiles = ["a.py"]\ntests = ["tests/*", "tests/unit", "tests/test_a.py"]\n'
    (tmp_path / "pyproject.toml").write_text(table)
    found = load_config(tmp_path, gates={}).tasks["T1"].tests
    assert found == ("tests/test_a.py", "tests/test_b.py", "tests/unit")


def test_a_glob_of_tests_that_matches_nothing_is_said(tmp_path):
    (tmp_path / "a.py").write_text("")
    table = '[tool.verifier.tasks.T1]\nfiles = ["a.py"]\ntests = ["tests/test_*.py"]\n'
    (tmp_path / "pyproject.toml").write_text(table)
    with pytest.raises(ConfigError, match=r'"tests/test_\*.py" matches no Python file'):
        load_config(tmp_path, gates={})
