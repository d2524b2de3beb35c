"""After whom the report of a run is named."""

from __future__ import annotations

import pytest

from verifier.run_command import _task_name


@pytest.mark.parametrize(
    ("words", "module", "name"),
    [
        (["examples/train gpt.py", "--lr", "1"], False, "train-gpt"),
        (["pkg.cli.train", "--lr", "1"], True, "train"),
        (["torch.distributed.run", "--nproc-per-node", "2", "worker.py", "--data", "train.py"], True, "worker"),
        (["torch.distributed.run", "--nproc-per-node", "2", "gone.py"], True, "run"),
        (["accelerate.commands.launch", "--num_processes", "2", "worker.py"], True, "worker"),
        (["pkg.sweep", "worker.py"], True, "sweep"),
        (["....py"], False, "script"),
    ],
)
def test_a_run_is_named_after_what_trains_and_not_after_a_launcher(words, module, name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "worker.py").touch()
    script, *arguments = words
    assert _task_name(script, tuple(arguments), module=module) == name
