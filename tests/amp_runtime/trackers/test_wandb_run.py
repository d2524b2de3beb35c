"""wandb is really run, offline, in a process of its own with a home of its own; its file is read back."""

import json
import math
import os
import re
import socket
import sys
from pathlib import Path

import pytest

from tests.amp_runtime import warm
from tests.amp_runtime.trackers.run_file import config_of, history_of, read_records

ROOT = Path(__file__).parents[3]
SCRIPT = Path(__file__).with_name("wandb_offline.py")
TOKEN = "t0ken-of-the-environment"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wandb")
    home = folder / "home"
    home.mkdir()
    env = {name: value for name, value in os.environ.items() if not name.startswith("WANDB_")}
    env |= {"HOME": str(home), "MY_TOKEN": TOKEN}
    env |= {f"WANDB_{kind}_DIR": str(home / kind.lower()) for kind in ("CACHE", "CONFIG", "DATA")}
    env["WANDB_ERROR_REPORTING"] = "false"  # wandb's own reports of its errors would use the network
    code, *said = warm.run(SCRIPT, folder, env=env, cwd=folder)
    assert code == 0, said
    return folder


@pytest.fixture(scope="module")
def result(folder):
    return json.loads((folder / "result.json").read_text())


@pytest.fixture(scope="module")
def run_file(folder):
    (file,) = (folder / "runs").rglob("*.wandb")
    return file


def test_every_figure_is_in_the_file(result, run_file):
    rows = history_of(read_records(run_file))
    assert [row["train/loss"] for row in rows if "train/loss" in row] == pytest.approx(result["losses"], rel=1e-12)
    assert [row["train/loss_scale"] for row in rows if "train/loss_scale" in row] == result["scales"]
    assert [row["_step"] for row in rows if "train/loss" in row] == list(range(1, 9))
    assert [row["train/skipped"] for row in rows if "train/skipped" in row][:3] == [0, 1, 0]
    assert not math.isfinite(rows[2]["train/grad_norm"])
    assert [row["_step"] for row in rows if "validation/loss" in row] == [4, 8]
    assert [row["benchmark/speedup"] for row in rows if "benchmark/speedup" in row] == [1.5]
    assert all(row["throughput/examples_per_s"] > 0 for row in rows if "throughput/examples_per_s" in row)


def test_the_configuration_is_in_the_file_without_secrets_and_paths(run_file):
    config = config_of(read_records(run_file))
    assert config["precision"] == "fp16"
    assert config["optimizer.type"] == "SGD"
    assert config["benchmark/device"] == "some cpu"
    assert (config["dataset"], config["data_root"]) == ("noise", "data")
    assert "api_key" not in config
    assert config["ended"] == "all epochs were trained"


def test_nothing_of_the_machine_is_in_the_file(folder, run_file):
    written = run_file.read_bytes()
    foreign = [str(folder), str(ROOT), str(Path.home()), sys.executable, TOKEN, "k" * 40, "secret-place", SCRIPT.name]
    assert [text for text in foreign if text.encode() in written] == []
    name = re.escape(socket.gethostname().encode())  # as a word: one of two letters stands in any random name
    assert re.search(rb"(?<![A-Za-z0-9])" + name + rb"(?![A-Za-z0-9])", written) is None


def test_no_process_file_socket_or_thread_stays_behind(result):
    assert result["during"] == 1
    names = ("after", "open", "sockets", "threads", "failures", "remote")
    assert {name: result[name] for name in names} == {name: [] for name in names}
    assert result["service"] is None


def test_nothing_is_written_outside_the_folders_it_was_given(folder):
    allowed = {"result.json", "runs", "home"}
    assert {path.name for path in folder.iterdir()} == allowed
    assert {path.name for path in (folder / "home").iterdir()} <= {"cache", "config", "data"}


def test_another_mode_is_refused():
    from amp_runtime.trackers.wandb_run import WandbTracker

    with pytest.raises(ValueError, match="mode must be one of offline, online, not 'disabled'"):
        WandbTracker("amp", folder="runs", mode="disabled")


def test_the_missing_package_is_named_with_its_extra():
    code = "import sys; sys.modules['wandb'] = None; import amp_runtime.trackers.wandb_run"
    _, _, said = warm.run("-c", code)
    assert "ImportError: WandbTracker needs wandb: pip install 'verify-amp[wandb]'" in said
