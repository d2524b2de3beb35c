"""`verify run`: a script as it is, one stage in the report, and an exit code that is the verdict."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.stages.integration.training_scripts import SCALED, training


def run(cwd: Path, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "verifier", "run", *words]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=240, check=False)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "x"\nversion = "1"\n')
    (tmp_path / "scripts").mkdir()
    return tmp_path


def test_clipping_before_unscaling_blocks_at_its_line(project: Path) -> None:
    text = training(clip=SCALED)
    (project / "scripts" / "train.py").write_text(text)
    done = run(project, "--steps", "3", "scripts/train.py", "9", "--steps", "7")
    assert done.returncode == 1, done.stderr
    assert done.stderr.startswith("step 0\nstep 1\n")
    line = next(number for number, code in enumerate(text.splitlines(), 1) if "clip_grad_norm_" in code)
    assert f"scripts/train.py:{line}:1: AMP103 CRITICAL" in done.stdout
    report = json.loads((project / ".verify/reports/train/report.json").read_text())
    assert (report["task"], report["title"], report["verdict"]) == ("train", "scripts/train.py 9 --steps 7", "BLOCK")
    (stage,) = report["stages"]
    assert {gate["name"]: gate["status"] for gate in stage["gates"]} == {"scripts": "PASS", "sanitizer": "FAIL"}
    (finding,) = stage["findings"]
    assert (finding["rule"], finding["path"], finding["line"]) == ("AMP103", "scripts/train.py", line)
    (evidence,) = finding["evidence"]
    assert (evidence["kind"], evidence["data"]["limit"], evidence["data"]["scale"]) == ("run", 1.0, 1024.0)
    assert evidence["data"]["stack"].splitlines()[-1] == f"scripts/train.py:{line} main"
    assert stage["facts"]["sanitizer"][0]["steps"] == 3


def test_a_sound_training_passes_and_quiet_says_nothing(project: Path) -> None:
    (project / "train.py").write_text(training())
    done = run(project, "-q", "--format", "json", "--output", "-", "train.py")
    assert (done.returncode, done.stderr) == (0, "")
    report = json.loads(done.stdout)
    assert (report["verdict"], report["environment"]["device"]) == ("PASS", "cpu")
    assert {gate["name"]: gate["status"] for gate in report["stages"][0]["gates"]} == {
        "scripts": "PASS",
        "sanitizer": "PASS",
    }


RECURRENT = """
import torch

model = torch.nn.GRU(8, 8, batch_first=True).cuda()
optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
scaler = torch.amp.GradScaler("cuda", init_scale=256.0)
inputs = torch.randn(4, 12, 8).cuda()
for _ in range(4):
    optimizer.zero_grad()
    with torch.autocast("cuda"):
        loss = model(inputs)[0].float().square().mean()
    scaler.scale(loss).backward()
    scaler.step(optimizer)
    scaler.update()
    print(loss.item())
"""


def test_an_emulated_device_is_not_judged_by_what_it_costs(project: Path) -> None:
    """It casts the weights of a recurrent cell at each time step; cuDNN casts them once."""
    (project / "train.py").write_text(RECURRENT)
    done = run(project, "-q", "--emulate", "cuda", "--format", "json", "--output", "-", "train.py")
    report = json.loads(done.stdout)
    assert (done.returncode, report["verdict"]) == (0, "PASS"), done.stderr
    assert report["stages"][0]["findings"] == []
    assert report["stages"][0]["facts"]["sanitizer"][0]["steps"] == 4


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["gone.py"], "gone.py: there is no such script"),
        (["scripts"], "scripts: it is no file; name the script that trains"),
        (["--stage", "logic", "train.py"], "`verify run` has one stage, integration; leave out --stage logic"),
        (["--steps", "0", "train.py"], "0 is not in the range x>=1"),
        ([], "Missing argument 'SCRIPT'"),
    ],
)
def test_wrong_use_is_said_in_one_line(project: Path, words: list[str], said: str) -> None:
    (project / "train.py").write_text("")
    done = run(project, *words)
    assert (done.returncode, done.stdout) == (2, "")
    assert said in done.stderr
    assert len(done.stderr.splitlines()) == 1
