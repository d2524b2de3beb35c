"""`verify init` writes a configuration that loads, keeps what stood there, and lets stage 1 run at once."""

from __future__ import annotations

import json
import shutil
import stat
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from verifier.api import load_plugins
from verifier.config import load_config
from verifier.errors import ConfigError, UsageError
from verifier.first_config import TASK, FirstConfig, propose, write

PLUGINS = load_plugins()
GATES = {stage.name: stage.gates for stage in PLUGINS.stages}
PROJECTS = Path(__file__).parents[1] / "projects"
AMP = "import torch\n\n\ndef step(model, batch):\n    with torch.autocast('cpu'):\n        return model(batch)\n"
TRAINS = "from trl import SFTTrainer\n\nif __name__ == '__main__':\n    SFTTrainer().train()\n"
PYPROJECT = """# the head comment stays
[project]
name = "thing"     # with its spaces
version = "1"

[tool.ruff]
line-length = 100

[[tool.mypy.overrides]]
module = "x.*"
"""
LAYOUTS = {
    "plain scripts": ({"train.py": AMP, "model.py": "x = 1\n", "setup.py": ""}, ("model.py", "train.py"), ()),
    "src package": (
        {"src/thing/__init__.py": "", "src/thing/loop.py": AMP, "tests/test_loop.py": "import thing\n", "setup.py": ""},
        ("src/**/*.py",),
        ("tests",),
    ),
    "package with scripts that train": (
        {"src/thing/__init__.py": "", "setup.py": "", "scripts/sft.py": TRAINS, "tools/a.py": TRAINS},
        ("scripts/**/*.py", "src/**/*.py"),
        (),
    ),
    "package with scripts that do not": (
        {"thing/__init__.py": "", "setup.py": "", "scripts/plot.py": "x = 1\n", "scripts/step.py": ".backward()"},
        ("thing/**/*.py",),
        (),
    ),
    "flat package": (
        {"thing/__init__.py": "", "thing/loop.py": AMP, "docs/conf.py": "", "setup.py": "", "examples/run.py": AMP},
        ("thing/**/*.py",),
        (),
    ),
    "package with its tests inside": (
        {"thing/__init__.py": "", "thing/tests/test_a.py": "def test_a(): pass\n", "pyproject.toml": PYPROJECT},
        ("thing/**/*.py",),
        ("thing/tests",),
    ),
    "folders without packages": (
        {"train.py": AMP, "models/net.py": "", "scripts/fit.py": AMP, "tools/fmt.py": "", "test_all.py": ""},
        ("models/**/*.py", "scripts/**/*.py", "train.py"),
        ("test_all.py",),
    ),
    "only examples": ({"examples/a.py": "x = 1\n"}, ("examples/**/*.py",), ()),
    "names that look like globs": ({"odd[1]/a.py": AMP, "b?.py": ""}, ("odd[[]1]/**/*.py", "b[?].py"), ()),
    "packages below python/": (
        {"python/thing/__init__.py": "", "python/thing/a.py": AMP, "pyproject.toml": PYPROJECT},
        ("python/**/*.py",),
        (),
    ),
    "many scripts": (
        {f"run{number}.py": "" for number in range(20)} | {"setup.py": "", "conftest.py": ""},
        ("*.py",),
        (),
    ),
}


def build(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


def init(root: Path) -> FirstConfig:
    first = propose(root, PLUGINS)
    write(first, PLUGINS)
    return first


def verify(root: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "verifier", *arguments]
    return subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=120, check=False)


@pytest.mark.parametrize("name", LAYOUTS)
def test_each_layout_gets_its_files_and_tests_and_loads(tmp_path: Path, name: str) -> None:
    files, globs, tests = LAYOUTS[name]
    init(build(tmp_path, files))
    task = load_config(tmp_path, gates=GATES).tasks[TASK]
    assert (task.files, task.tests) == (globs, tests)


@pytest.mark.parametrize("name", ["plain scripts", "src package", "packages below python/"])
def test_stage_1_runs_on_what_was_written(tmp_path: Path, name: str) -> None:
    build(tmp_path, LAYOUTS[name][0])
    assert verify(tmp_path, "init").returncode == 0
    done = verify(tmp_path, TASK, "--stage", "syntax")
    assert done.returncode == 0, done.stdout + done.stderr
    report = json.loads((tmp_path / f".verify/reports/{TASK}/report.json").read_text())
    assert report["stages"][0]["checks_run"] > 0


def test_a_tree_that_came_without_configuration_is_verified_as_with_its_own(tmp_path: Path) -> None:
    shutil.copytree(PROJECTS / "t035_blocked", tmp_path / "p", ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "p/pyproject.toml").unlink()
    assert verify(tmp_path / "p", "init").returncode == 0
    done = verify(tmp_path / "p", TASK, "--stage", "syntax", "--format", "json", "--output", "-")
    codes = {item["rule"] for item in json.loads(done.stdout)["stages"][0]["findings"]}
    assert {"SCP002", "IMP001", "IMP003"} <= codes


def test_an_existing_pyproject_keeps_every_byte_it_had(tmp_path: Path) -> None:
    build(tmp_path, {"thing/__init__.py": "", "pyproject.toml": PYPROJECT})
    (tmp_path / "pyproject.toml").chmod(0o640)
    init(tmp_path)
    after = (tmp_path / "pyproject.toml").read_text()
    assert after.startswith(PYPROJECT)
    assert tomllib.loads(after)["tool"]["verifier"]["tasks"][TASK]["title"] == "Code of thing"
    assert stat.S_IMODE((tmp_path / "pyproject.toml").stat().st_mode) == 0o640


def test_line_endings_stay_those_of_the_file(tmp_path: Path) -> None:
    build(tmp_path, {"thing/__init__.py": ""})
    (tmp_path / "pyproject.toml").write_bytes(PYPROJECT.replace("\n", "\r\n").encode())
    init(tmp_path)
    assert b"\n" not in (tmp_path / "pyproject.toml").read_bytes().replace(b"\r\n", b"")


@pytest.mark.parametrize("text", ["tool = {}\n", 'tool = { ruff = { "line-length" = 100 } }\n'])
def test_where_no_table_can_be_appended_it_goes_to_a_file_of_its_own(tmp_path: Path, text: str) -> None:
    build(tmp_path, {"a.py": "", "pyproject.toml": text})
    assert init(tmp_path).path.name == "verifier.toml"
    assert (tmp_path / "pyproject.toml").read_text() == text


def test_a_dry_run_prints_it_and_writes_nothing(tmp_path: Path) -> None:
    build(tmp_path, {"train.py": AMP})
    done = verify(tmp_path, "init", "--dry-run")
    assert done.returncode == 0
    assert tomllib.loads(done.stdout)["tasks"][TASK]["files"] == ["train.py"]
    assert [path.name for path in tmp_path.iterdir()] == ["train.py"]


@pytest.mark.parametrize(
    ("files", "sentence"),
    [
        ({"a.py": "", "verifier.toml": ""}, "verifier.toml configures verify already"),
        ({"a.py": "", "pyproject.toml": "[tool.verifier]\n"}, "pyproject.toml configures verify already"),
        ({"notes.md": ""}, "no Python file to verify"),
        ({"docs/conf.py": ""}, "no Python file to verify"),
        ({"a.py": "", "pyproject.toml": "[tool\n"}, "pyproject.toml: is not valid TOML"),
    ],
)
def test_it_refuses_to_guess(tmp_path: Path, files: dict[str, str], sentence: str) -> None:
    build(tmp_path, files)
    done = verify(tmp_path, "init")
    assert (done.returncode, done.stdout) == (2, "")
    assert sentence in done.stderr
    assert sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*.*")) == sorted(files)


def test_frameworks_and_amp_are_named_in_comments_only(tmp_path: Path) -> None:
    lightning = "import lightning as L\n\n\nclass Net(L.LightningModule): ...\n"
    trainer = "from transformers import (\n    AutoModel,\n    Trainer,\n)\n"
    first = propose(build(tmp_path, {"a.py": lightning, "b.py": trainer, "c.py": AMP}), PLUGINS)
    comments = [line for line in first.text.splitlines() if line.startswith("#")]
    said = " ".join(comments)
    assert "AMP is used in c.py." in said
    assert "Lightning is used in a.py" in said
    assert "The Trainer of transformers is used in b.py" in said
    assert "workloads" not in tomllib.loads(first.text)["tasks"][TASK]


def test_what_does_not_load_is_taken_back(tmp_path: Path) -> None:
    build(tmp_path, {"a.py": "", "pyproject.toml": PYPROJECT})
    first = propose(tmp_path, PLUGINS)
    (tmp_path / "a.py").unlink()
    with pytest.raises(ConfigError):
        write(first, PLUGINS)
    assert (tmp_path / "pyproject.toml").read_text() == PYPROJECT


_NAMES = st.text(
    st.characters(blacklist_characters="/\\\0", blacklist_categories=("Cs",)), min_size=1, max_size=8
).filter(lambda name: name.strip(".") == name)
_FOLDERS = st.sampled_from(["", "src/", "src/pkg/", "pkg/", "pkg/tests/", "tests/", "docs/", "scripts/", "lib/p/"])


@settings(max_examples=60, deadline=None)
@given(st.dictionaries(st.tuples(_FOLDERS, _NAMES), st.sampled_from(["", AMP, "import torch\n"]), max_size=8))
def test_whatever_the_tree_the_configuration_loads_or_there_is_nothing(tmp_path_factory, tree) -> None:
    root = tmp_path_factory.mktemp("tree")
    build(root, {f"{folder}{name}.py": text for (folder, name), text in tree.items()})
    try:
        init(root)
    except UsageError:
        return
    assert TASK in load_config(root, gates=GATES).tasks


SWITCHED = {
    "argparse, on or off": (
        'p.add_argument("--use-amp", action="store_true")\n',
        'scripts = [{ run = ["train.py"], amp = ["--use-amp"], fp32 = [] }]',
    ),
    "a precision by name": (
        'p.add_argument("--mixed_precision", default="no", choices=["no", "fp16"])\n',
        'scripts = [{ run = ["train.py"], amp = ["--mixed_precision", "bf16"], fp32 = ["--mixed_precision", "no"] }]',
    ),
    "the Trainer's own": (
        "from transformers import HfArgumentParser, Trainer, TrainingArguments\nHfArgumentParser(TrainingArguments)\n",
        'scripts = [{ run = ["train.py", "--max_steps", "20"], amp = ["--bf16"], fp32 = [] }]',
    ),
    "Lightning's": (
        'import lightning\np.add_argument("--precision", default="32-true")\n',
        'amp = ["--precision", "bf16-mixed"], fp32 = ["--precision", "32-true"]',
    ),
}


@pytest.mark.parametrize("name", SWITCHED)
def test_a_script_that_switches_amp_is_proposed_and_loads_when_it_is_taken(tmp_path: Path, name: str) -> None:
    text, expected = SWITCHED[name]
    first = init(build(tmp_path, {"train.py": f'{text}\n\nif __name__ == "__main__":\n    pass\n'}))
    assert f"# {expected}" in first.added or expected in first.added
    (line,) = [line for line in first.added.splitlines() if line.startswith("# scripts = ")]
    first.path.write_text(first.text.replace(line, line.removeprefix("# ")))
    (script,) = load_config(tmp_path, gates=GATES).tasks[TASK].scripts
    assert script.amp != script.fp32


def test_a_red_tree_is_told_how_to_begin_from_there(tmp_path: Path) -> None:
    build(tmp_path, {"train.py": "print(nmae)\n"})
    done = verify(tmp_path, "init")
    assert done.returncode == 0
    assert "first look, by reading only: BLOCK 65/100, 1 of 1 findings block" in done.stdout
    (command,) = [line.split(maxsplit=1)[1] for line in done.stdout.splitlines() if "--update-baseline" in line]
    words = [*command.removesuffix('"found on adoption"').split(), "found on adoption"]
    assert verify(tmp_path, *words, "--stage", "syntax").returncode == 0
    assert verify(tmp_path, TASK, "--baseline", "verify-baseline.json", "--stage", "syntax").returncode == 0


def test_packages_that_are_missing_here_are_named_at_once(tmp_path: Path) -> None:
    declared = PYPROJECT.replace('version = "1"', 'version = "1"\ndependencies = ["nowhere-a"]')
    optional = "try:\n    import nowhere_b\nexcept ImportError:\n    pass\n"
    build(tmp_path, {"train.py": f"import nowhere_a.part\n{optional}", "pyproject.toml": declared})
    said = verify(tmp_path, "init").stdout
    assert "  not installed here: nowhere_a\n" in said
    assert '`--python PATH` or python = "PATH" in pyproject.toml' in said


def test_a_green_tree_is_told_so_and_no_report_is_left_to_git(tmp_path: Path) -> None:
    build(tmp_path, {"train.py": "x = 1\n"})
    subprocess.run(["git", "init", "--quiet", "."], cwd=tmp_path, check=True)
    assert "first look, by reading only: PASS 100/100" in verify(tmp_path, "init").stdout
    verify(tmp_path, TASK, "--stage", "syntax")
    asked = ["git", "status", "--porcelain"]
    status = subprocess.run(asked, cwd=tmp_path, check=True, capture_output=True, text=True).stdout
    assert ".verify" not in status
