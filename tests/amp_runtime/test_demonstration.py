import re

import pytest

from amp_runtime.__main__ import main


def test_both_models_are_trained_in_fp32_and_under_amp(capsys):
    assert main(["--steps", "2", "--seed", "1"]) == 0
    printed = capsys.readouterr().out
    runs = re.findall(r"^  (\w+)  loss ([\d.]+) to [\d.]+, [\d.]+ ms per step; validation (.*)$", printed, re.MULTILINE)
    assert [precision for precision, _, _ in runs][::2] == ["fp32", "fp32"]
    assert runs[1][0] in ("bf16", "fp16")
    assert runs[3][0] == "fp16"
    assert "loss scale" in runs[3][2]
    for plain, amp in (runs[:2], runs[2:]):  # the same seed: the first loss differs by rounding only
        assert float(amp[1]) == pytest.approx(float(plain[1]), rel=0.02)
    assert printed.startswith(("cpu: ", "cuda: "))


def test_no_steps_are_refused(capsys):
    with pytest.raises(SystemExit) as stopped:
        main(["--steps", "0"])
    assert stopped.value.code == 2
    assert "--steps must be at least 1, not 0" in capsys.readouterr().err
