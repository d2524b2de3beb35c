"""Train until a signal comes; run by test_interruption.py as `python interrupted.py FOLDER WHERE`."""

import json
import os
import signal
import sys
import time
from pathlib import Path

import torch
from torch.utils.data import DataLoader

from amp_runtime.callbacks import Callback
from amp_runtime.loop import fit
from amp_runtime.retention import Checkpoints, latest_checkpoint
from tests.amp_runtime.problems import batches, fp16, make_step


class Slow:
    """Batches of which each takes a moment; says through a file that training is under way."""

    def __init__(self, folder, pause_s):
        self.folder, self.pause_s, self.data = folder, pause_s, batches(2000)

    def __len__(self):
        return len(self.data)

    def __getitem__(self, index):
        if index == 3:
            (self.folder / "under-way").touch()
        time.sleep(self.pause_s)
        return self.data[index]

    def __iter__(self):
        return (self[index] for index in range(len(self)))


class Interrupter(Callback):
    """Sends itself a signal at an exact moment."""

    def on_validation(self, record):
        os.kill(os.getpid(), signal.SIGINT)


def main(folder, where):
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell ignores it in what runs in its background
    torch.set_num_threads(1)
    train, validation, callbacks = Slow(folder, 0.01), None, []
    if where == "stuck":
        train = Slow(folder, 0)
        train.data = train.data[:4]
        validation = Slow(folder, 3600)
    elif where == "validating":
        train.data, validation = train.data[:2], Slow(folder, 0.01)
    elif where == "workers":
        train = DataLoader(Slow(folder, 0.01), batch_size=None, num_workers=1)
    elif where == "between":
        train.data, validation, callbacks = train.data[:2], batches(1), [Interrupter()]
    resume = latest_checkpoint(folder / "kept") if where == "resumed" else None
    if where == "resumed":
        train = Slow(folder, 0)
        train.data = train.data[:2]
        validation = batches(1)
    step = make_step(fp16())
    kept = Checkpoints(folder / "kept", every_epochs=None)
    history = fit(
        step, train, epochs=2, validation=validation, callbacks=[kept, *callbacks], resume=resume, progress=False
    )
    result = {
        "interrupted": history.interrupted,
        "ended": history.ended,
        "steps": step.number,
        "validations": [record.step for record in history.validations],
        "epochs": [record.epoch for record in history.epochs],
        "handler_restored": signal.getsignal(signal.SIGINT) is signal.default_int_handler,
    }
    (folder / "result.json").write_text(json.dumps(result))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
