"""The schema takes what the reader takes, refuses the keys it refuses, and the published copy is the same."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest

from verifier import config_schema
from verifier.api import load_plugins
from verifier.config import load_config
from verifier.errors import ConfigError

ROOT = Path(__file__).parents[2]
GATES = {stage.name: stage.gates for stage in load_plugins().stages}
CODES = load_plugins().rules
VALIDATOR = jsonschema_rs.validator_for(config_schema.schema())
WHOLE = """
source-roots = ["."]
block-at = "high"
exclude = ["build/**"]
per-file-ignores = { "scripts/*" = ["LNT", "SCP001"] }
pass-env = ["HF_HOME"]
allow-network = false

[tasks.T1]
title = "t"
files = ["a.py"]
tests = ["a.py"]
test-processes = 2
workloads = ["pkg.loads:small"]
scripts = [{ run = ["a.py", "--steps", "5"], amp = ["--amp"], fp32 = [] }]
allow-network = true

[tasks.T1.requirements]
speedup = { cuda = ">=1.5", cpu = ">= 1.0x", only = ["a.py"] }
memory-reduction = ">=40%"
accuracy-difference = "<0.01"
regression = "<= 5 %"

[[tasks.T1.acceptance]]
text = "it loads"
proven-by = ["syntax:compilation"]
"""


def _read(root: Path, text: str) -> bool:
    (root / "a.py").write_text("")
    (root / "verifier.toml").write_text(text)
    try:
        load_config(root, gates=GATES, codes=CODES)
    except ConfigError:
        return False
    return True


def test_both_take_a_configuration_with_every_key(tmp_path: Path) -> None:
    assert _read(tmp_path, WHOLE)
    VALIDATOR.validate(tomllib.loads(WHOLE))
    used = json.dumps(tomllib.loads(WHOLE))
    task = config_schema.schema()["properties"]["tasks"]["additionalProperties"]["properties"]
    assert [key for key in (*config_schema.schema()["properties"], *task) if f'"{key}"' not in used] == ["python"]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("block-at", "blockat"),
        ('"high"', '"hihg"'),
        ("title", "titel"),
        ("test-processes = 2", "test-processes = 0"),
        ('"pkg.loads:small"', '"pkg.loads"'),
        ('run = ["a.py", "--steps", "5"]', "run = []"),
        ('speedup = { cuda = ">=1.5"', 'speedup = { cuda = "<1.5"'),
        ('speedup = { cuda = ">=1.5"', 'speedup = { gpu = ">=1.5"'),
        ("memory-reduction", "memory-reductoin"),
        ('">=40%"', '">=40 steps/s"'),
        ('proven-by = ["syntax:compilation"]', "proven-by = []"),
        ("allow-network = false", 'allow-network = "no"'),
        ('"HF_HOME"', '"HF HOME"'),
        ("[tasks.T1]", '[tasks."T 1"]'),
        ('files = ["a.py"]', "files = []"),
    ],
)
def test_both_refuse_what_is_wrong(tmp_path: Path, old: str, new: str) -> None:
    text = WHOLE.replace(old, new)
    assert text != WHOLE
    assert not _read(tmp_path, text)
    assert not VALIDATOR.is_valid(tomllib.loads(text))


@pytest.mark.parametrize("path", ["pyproject.toml", *sorted((ROOT / "tests/projects").glob("*/pyproject.toml"))])
def test_the_configurations_of_this_repository_are_valid(path: str | Path) -> None:
    table: dict[str, Any] = tomllib.loads((ROOT / path).read_text("utf-8")).get("tool", {}).get("verifier", {})
    VALIDATOR.validate(table)


def test_the_published_copy_is_up_to_date() -> None:
    published = (ROOT / "docs/verifier.schema.json").read_text("utf-8")
    assert published == config_schema.as_text() + "\n", "verify schema > docs/verifier.schema.json"
