"""A small project that is verified with and without the cache: what both say must be the same."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from verifier.cli import main

if TYPE_CHECKING:
    import pytest

FILES = {
    "pyproject.toml": '[project]\nname = "p"\nversion = "1"\ndependencies = ["numpy"]\n',
    "pkg/__init__.py": "from pkg.a import first\n",
    "pkg/a.py": "import os\n\n\ndef first():\n    from pkg import b\n    return b.second(absent)\n",
    "pkg/b.py": "from pkg.a import first\nimport nothere\n\n\ndef second(x):\n    return first, x\n",
    "train.py": (
        "import torch\nfrom pkg.steps import step\n\n\ndef main(model, optimizer, batches):\n"
        "    scaler = torch.amp.GradScaler()\n    for batch in batches:\n"
        "        with torch.autocast('cuda'):\n            loss = model(batch).mean()\n"
        "        step(scaler, optimizer, loss)\n"
    ),
    "pkg/steps.py": (
        "def step(scaler, optimizer, loss):\n    scaler.scale(loss).backward()\n"
        "    optimizer.step()\n    scaler.update()\n"
    ),
    "pkg/far.py": "import pkg\n\n\ndef far(x, mask):\n    return x\n",
    "outside/other.py": "from pkg import a\n\n\ndef use(scaler):\n    return scaler\n",
}


@dataclass(frozen=True)
class Verified:
    """A project in a folder, and the cache beside it."""

    root: Path
    cache: Path
    patch: pytest.MonkeyPatch
    captured: pytest.CaptureFixture[str]

    def write(self, name: str, text: str) -> None:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def report(self, *options: str) -> dict[str, Any]:
        """Return the report of `verify check` over pkg and train.py, without what differs from run to run."""
        words = [*(name for name in ("pkg", "train.py") if (self.root / name).exists()), *options]
        arguments = [
            "check",
            *words,
            "--stage",
            "syntax",
            "--stage",
            "logic",
            "--format",
            "json",
            "--output",
            "-",
            "-q",
        ]
        with self.patch.context() as patch:
            patch.setattr(sys, "argv", ["verify", *arguments])
            patch.setenv("VERIFY_CACHE_DIR", str(self.cache))
            patch.chdir(self.root)
            self.captured.readouterr()
            main()
        said = self.captured.readouterr()
        report: dict[str, Any] = json.loads(said.out)
        report["tool"].pop("command")
        for stage in report["stages"]:
            stage.pop("duration_s")
        return report


def make(root: Path) -> None:
    (root / ".git").mkdir(parents=True)
    for name, text in FILES.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
