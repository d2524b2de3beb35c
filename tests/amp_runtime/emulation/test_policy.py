from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from amp_runtime.emulation import emulate, is_emulating, limits, policy
from amp_runtime.emulation.__main__ import main
from amp_runtime.emulation.model import Category

HEADER = Path(torch.__file__).parent / "include" / "ATen" / "autocast_mode.h"
LISTS = {
    "LOWER_PRECISION_FP": Category.LOWER_PRECISION_FP,
    "FP32": Category.FP32,
    "FP32_SET_OPT_DTYPE": Category.FP32_SET_OPT_DTYPE,
    "PROMOTE": Category.PROMOTE,
}


def _listed(name: str) -> set[str]:
    # `_(op)` or `_(op, overload)`, one a line, to the end of the macro.
    body = re.search(rf"#define AT_FORALL_{name}\(_\)((?:.*\\\n)*.*\n)", HEADER.read_text("utf-8"))[1]
    return {
        f"aten::{op}{'.' + overload if overload else ''}"
        for op, overload in re.findall(r"_\((\w+)(?:, (\w+))?\)", body)
    }


@pytest.mark.parametrize("name", LISTS)
def test_the_answers_agree_with_the_lists_in_the_header_of_the_wheel(name):
    listed = _listed(name)
    assert len(listed) > 5
    assert {operator: policy("cuda").category(operator) for operator in listed} == dict.fromkeys(listed, LISTS[name])


def test_every_operator_with_a_kernel_is_classified():
    for device, key in (("cuda", "AutocastCUDA"), ("cpu", "AutocastCPU")):
        names = torch._C._dispatch_get_all_op_names()
        kernels = {name for name in names if torch._C._dispatch_has_kernel_for_dispatch_key(name, key)}
        assert set(policy(device).treatments) == kernels
        assert len(kernels) > 100
        others = {name for name, each in policy(device).treatments.items() if each.category is Category.OTHER}
        assert others <= {"aten::_cudnn_rnn"}  # which is there in a build with cuDNN


def test_the_banned_loss_says_why():
    banned = {name: each for name, each in policy().treatments.items() if each.category is Category.BANNED}
    assert list(banned) == ["aten::binary_cross_entropy"]
    assert "unsafe to autocast" in banned["aten::binary_cross_entropy"].message


def test_norms_are_sent_to_the_overload_with_a_dtype():
    assert policy().treatments["aten::norm.Scalar"].target == "aten::norm.ScalarOpt_dtype"


def test_the_cpu_leaves_alone_what_cuda_widens():
    gap = {name for name in policy("cuda").treatments if policy("cpu").category(name) is None}
    assert {"aten::softmax.int", "aten::layer_norm", "aten::sum", "aten::exp", "aten::norm.Scalar"} <= gap
    assert policy("cpu").category("aten::binary_cross_entropy") is Category.FP32  # forbidden on CUDA


def test_asking_leaves_autocast_as_it_was():
    program = """
import torch
from amp_runtime.emulation import is_emulating, policy
policy("cuda"), policy("cpu")
assert not torch.is_autocast_enabled("cuda") and not torch.is_autocast_enabled("cpu")
assert torch.get_autocast_dtype("cpu") == torch.bfloat16 and not torch.cuda.is_available() and not is_emulating()
x = torch.ones(2, 2)
assert (x @ x).dtype == torch.float32
with torch.autocast("cpu"):
    assert (x @ x).dtype == torch.bfloat16 and x.softmax(-1).dtype == torch.float32
    assert x.bfloat16().sum().dtype == torch.bfloat16
torch.jit.trace(torch.nn.Linear(2, 2), x)
"""
    subprocess.run([sys.executable, "-c", program], check=True, timeout=120)


def test_another_device_type_is_refused():
    with pytest.raises(ValueError, match="device type 'tpu' has no policy here"):
        policy("tpu")
    with pytest.raises(ValueError, match="only 'cuda' can be emulated, not 'mps'"):
        emulate("mps")
    assert not is_emulating()


def test_the_command_prints_both_tables(capsys):
    assert main([]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert re.search(r"^aten::softmax\.int +fp32_set_opt_dtype +-$", "\n".join(lines), re.MULTILINE)
    assert main(["--json"]) == 0
    table = json.loads(capsys.readouterr().out)
    assert table["aten::linear"] == {"cuda": "lower_precision_fp", "cpu": "lower_precision_fp"}
    assert len(lines) == len(table) + 2


def test_limits_are_sentences():
    assert len(limits()) > 5
    assert all(each.endswith(".") for each in limits())


def test_importing_the_package_loads_no_torch():
    program = "import sys, amp_runtime.emulation as e; e.limits(); e.is_emulating(); assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)
