"""One of two processes that `fit` one model together over gloo; run by test_fit_on_two_ranks.py with RANK FOLDER."""

import json
import os
import signal
import sys
from pathlib import Path

import torch
from torch import distributed as dist
from torch.nn.parallel import DistributedDataParallel

from amp_runtime.callbacks import Callback
from amp_runtime.loop import fit
from amp_runtime.policy import Bf16Policy
from amp_runtime.retention import Checkpoints, latest_checkpoint
from amp_runtime.step import TrainingStep
from amp_runtime.trackers import CsvTracker, Tracking
from tests.amp_runtime.problems import batches, network, regression


class Interrupted(Callback):
    """Ctrl-C that reaches one process only."""

    def on_step(self, report):
        if report.number == 5:
            os.kill(os.getpid(), signal.SIGINT)


def main(rank, folder):
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell ignores it in what runs in its background
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder}/store", rank=rank, world_size=2)
    data = batches(8)[rank::2]
    result = {}
    for part in ("cut", "resumed", "straight"):
        model = DistributedDataParallel(network())
        step = TrainingStep(model, torch.optim.SGD(model.parameters(), lr=0.1), Bf16Policy(), regression)
        kept = "straight" if part == "straight" else "halves"
        own = [Interrupted()] if part == "cut" and rank == 1 else []
        dist.barrier()
        history = fit(
            step,
            data,
            epochs=3,
            validation=batches(3),
            callbacks=[Checkpoints(folder / kept), Tracking(CsvTracker(folder / f"{part}.csv")), *own],
            resume=latest_checkpoint(folder / kept) if part == "resumed" else None,
        )
        result[part] = {
            "losses": [record.loss for record in history.steps],
            "ended": history.ended,
            "interrupted": history.interrupted,
            "weights": [float(parameter.double().sum()) for parameter in model.parameters()],
        }
    dist.destroy_process_group()
    (folder / f"{rank}.json").write_text(json.dumps(result))


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]))
