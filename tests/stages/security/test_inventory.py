"""What leaves for trackers is listed by key, source and line, whatever the tracker is called by."""

from __future__ import annotations

import ast
import textwrap

import pytest

from stages._source.program.project import read_project
from stages._source.versions import Versions
from stages.security.inventory import tracked
from stages.security.view import View


def rows(text: str) -> list[tuple[object, ...]]:
    code = textwrap.dedent(text)
    project = read_project([("a.py", ast.parse(code), code.splitlines())])
    module = project.module("a.py")
    assert module is not None
    found = tracked(View(project, module, Versions()))
    return [(row["tracker"], row["kind"], row["key"], row["source"], row["line"]) for row in found]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("import wandb as w\nw.log({'loss': loss, f'{k}/x': 1})", [
            ("W&B", "metrics", "loss", "loss", 2), ("W&B", "metrics", "f'{k}/x'", "1", 2)]),
        ("from wandb import init\nrun = init(config=dict(lr=lr), name=n)\nrun.summary.update({'best': b})", [
            ("W&B", "configuration", "lr", "lr", 2), ("W&B", "configuration", "name", "n", 2),
            ("W&B", "metrics", "best", "b", 3)]),
        ("import wandb\ndef f():\n    logs = {'a': 1}\n    logs['b'] = two\n    wandb.log(logs, step=3)", [
            ("W&B", "metrics", "a", "1", 5), ("W&B", "metrics", "b", "two", 5)]),
        ("import wandb\nwandb.log(metrics)", [("W&B", "metrics", "*", "metrics", 2)]),
        ("from torch.utils.tensorboard import SummaryWriter as S\nwith S() as s:\n    s.add_image('x', image)\n"
         "    s.add_hparams({'lr': 1}, {'acc': a})", [
            ("TensorBoard", "samples", "x", "image", 3), ("TensorBoard", "configuration", "lr", "1", 4),
            ("TensorBoard", "metrics", "acc", "a", 4)]),
        ("def f(writer):\n    writer.add_scalar('loss', loss, 3)", [("TensorBoard", "metrics", "loss", "loss", 2)]),
        ("import mlflow\nmlflow.log_param('lr', lr)\nmlflow.log_artifact('out')\nmlflow.autolog()", [
            ("MLflow", "configuration", "lr", "lr", 2), ("MLflow", "files", "", "'out'", 3),
            ("MLflow", "whatever it finds", "", "", 4)]),
        ("from lightning import LightningModule\nclass M(LightningModule):\n    def step(self):\n"
         "        self.log('loss', x)\n        self.log_dict({'a': b})", [
            ("Lightning logger", "metrics", "loss", "x", 4), ("Lightning logger", "metrics", "a", "b", 5)]),
        ("from accelerate import Accelerator\na = Accelerator()\na.init_trackers('p', config={'lr': 1})\n"
         "a.log({'l': x})", [
            ("accelerate", "configuration", "lr", "1", 3), ("accelerate", "metrics", "l", "x", 4)]),
        ("import comet_ml\nclass T:\n    def __init__(self):\n        self.e = comet_ml.Experiment()\n"
         "    def f(self):\n        self.e.log_parameter('lr', lr)", [("Comet", "configuration", "lr", "lr", 6)]),
    ],
)  # fmt: skip
def test_what_is_sent(text: str, expected: list[tuple[object, ...]]) -> None:
    assert rows(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "import logging\nlogging.log(3, 'x')",
        "import math\nmath.log(3)",
        "class M:\n    def f(self):\n        self.log('loss', x)",
        "from mine import wandb\nwandb.log({'a': 1})",
        "run.log({'a': 1})",
    ],
)
def test_what_is_not_sent(text: str) -> None:
    assert rows(text) == []
