import json
import subprocess
import sys

import pytest

from amp_runtime.capability.__main__ import main
from amp_runtime.device import available_devices


def test_every_device_of_the_machine_is_printed(capsys):
    assert main([]) == 0
    blocks = capsys.readouterr().out.split("\n\n")
    assert [block.partition(":")[0] for block in blocks] == [name.partition(":")[0] for name in available_devices()]
    assert "bf16" in blocks[0]


def test_json_is_a_list_of_devices(capsys):
    assert main(["cpu", "--json"]) == 0
    (found,) = json.loads(capsys.readouterr().out)
    assert found["device"] == "cpu"
    assert found["dtypes"]["fp32"]["level"] == "native"


@pytest.mark.parametrize("device", ["gpu", "meta", "cuda:99"])
def test_an_unknown_device_is_one_sentence_and_code_2(device, capsys):
    assert main([device]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert device in printed.err
    assert len(printed.err.splitlines()) == 1


def test_it_runs_as_a_module():
    done = subprocess.run(
        [sys.executable, "-W", "error", "-m", "amp_runtime.capability", "cpu"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.startswith("cpu: ")
    assert done.stderr == ""
