"""Train with W&B offline; run by test_wandb_run.py as `python wandb_offline.py FOLDER` with a home of its own."""

import json
import os
import sys
import threading
from pathlib import Path

import psutil
import torch

from amp_runtime.loop import fit
from amp_runtime.trackers import Tracking
from amp_runtime.trackers.wandb_run import WandbTracker
from tests.amp_runtime.problems import OVERFLOW, batches, fp16, make_step


def refuse_connections():
    """Make every connection of this process that does not stay on this machine an error."""
    import socket

    connect = socket.socket.connect

    def local_only(self, address):
        if self.family in (socket.AF_INET, socket.AF_INET6) and address[0] not in ("127.0.0.1", "::1"):
            raise OSError(f"a test reached for the network: {address}")
        return connect(self, address)

    socket.socket.connect = local_only


def remote_connections():
    processes = [psutil.Process(), *psutil.Process().children(recursive=True)]
    found = [connection for process in processes for connection in process.net_connections("inet")]
    return [str(c.raddr) for c in found if c.raddr and not c.raddr.ip.startswith(("127.", "::1", "::ffff:127."))]


def main(folder):
    torch.set_num_threads(1)
    refuse_connections()
    data = batches(4)
    data[1] = (*data[1][:2], OVERFLOW)
    tracker = WandbTracker("amp", name="first", folder=folder / "runs")
    tracking = Tracking(tracker, config={"dataset": "noise", "data_root": "/secret-place/data", "api_key": "k" * 40})
    tracking.log_facts("benchmark", {"speedup": 1.5, "device": "some cpu"})
    remote = remote_connections()
    during = len(psutil.Process().children(recursive=True))
    history = fit(make_step(fp16()), data, epochs=2, validation=batches(1), callbacks=[tracking], progress=False)
    me = psutil.Process()
    result = {
        "losses": [record.loss for record in history.steps],
        "scales": history.scales,
        "failures": history.failures,
        "remote": remote,
        "during": during,
        "after": [child.cmdline() for child in me.children(recursive=True)],
        "open": [file.path for file in me.open_files() if str(folder) in file.path],
        "sockets": [str(connection) for connection in me.net_connections("inet")],
        "threads": [thread.name for thread in threading.enumerate() if thread is not threading.main_thread()],
        "service": os.environ.get("WANDB_SERVICE"),
    }
    (folder / "result.json").write_text(json.dumps(result))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
