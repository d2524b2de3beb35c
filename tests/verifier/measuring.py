"""Decides what a plugin for tests measures: the gate that `gate.json` of the project describes, kept as a baseline."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

_PLUGIN = """
import json
from verifier.api import BaselineError, Gate, GateStatus, KeptFile, Stage, StageOutcome, hookimpl

def run(context):
    said = json.loads((context.root / "gate.json").read_text())
    status = GateStatus.FAIL if said["status"] == "WARN" and context.options.strict else GateStatus[said["status"]]
    gate = Gate(name="figure", requirement="r", status=status, evidence="seen", lacks=tuple(said.get("lacks", ())))
    return StageOutcome(checks_run=1, gates=(gate,))

@hookimpl
def verifier_stages():
    return (Stage(number=40, name="measuring", title="M", summary="s", runs_code=True, run=run,
                  gates={"figure": "r"}),)

@hookimpl
def verifier_baseline(report, root, reason):
    said = json.loads((root / "gate.json").read_text())
    if said.get("noisy") and reason is None:
        raise BaselineError("the machine was too noisy")
    if said.get("nothing"):
        return ()
    path = said.get("path", f"kept/{report.task}.json")
    return (KeptFile(path=path, text=f"{report.verdict} {reason}\\n", says="1"),)
"""


def make_project(folder: Path, **gate: Any) -> Path:
    """Make a project with a task `T`, and beside it the plugin."""
    project, plugin = folder / "project", folder / "plugin"
    project.mkdir()
    (project / "a.py").write_text("x = 1\n")
    (project / "pyproject.toml").write_text('[tool.verifier.tasks.T]\nfiles = ["a.py"]\n')
    (project / "gate.json").write_text(json.dumps({"status": "PASS"} | gate))
    info = plugin / "measuring_plugin-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: measuring-plugin\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[verifier.plugins]\nmeasuring = measuring_plugin\n")
    (plugin / "measuring_plugin.py").write_text(_PLUGIN)
    return project


def verify(project: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the task's stages that need no process of their own, with the plugin installed."""
    command = [
        sys.executable,
        "-m",
        "verifier",
        "T",
        "--stage",
        "syntax",
        "--stage",
        "measuring",
        "--no-progress",
        *arguments,
    ]
    environment = os.environ | {"PYTHONPATH": str(project.parent / "plugin")}
    return subprocess.run(
        command, cwd=project, env=environment, capture_output=True, text=True, timeout=120, check=False
    )
