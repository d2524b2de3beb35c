"""The examples in docs/examples run as they stand, offline and on a CPU, train, and are clean to our own rules."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
EXAMPLES = sorted((ROOT / "docs/examples").glob("*.py"))

# Of Lightning's own making: a class that PyTorch 2.13 deprecates, and advice for larger runs.
LIGHTNINGS_OWN = [
    "-Wignore:`isinstance(treespec, LeafSpec)` is deprecated:FutureWarning",
    "-Wignore:The 'train_dataloader' does not have many workers",
    "-Wignore:The 'val_dataloader' does not have many workers",
]


def run(name, *arguments, warnings=()):
    command = [sys.executable, "-W", "error", *warnings, f"docs/examples/{name}", *arguments]
    offline = {"HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": "", "PYTHONPATH": str(ROOT)}
    return subprocess.run(
        command, cwd=ROOT, env={**os.environ, **offline}, capture_output=True, text=True, check=False, timeout=120
    )


def result(name, *arguments, warnings=()):
    done = run(name, *arguments, warnings=warnings)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def assert_learns_like_fp32(low, full):
    losses, exact = low["losses"], full["losses"]
    assert sum(losses[-5:]) < 0.85 * sum(losses[:5])
    assert losses != exact  # or it never left float32
    assert max(abs(a - b) for a, b in zip(losses[:10], exact[:10], strict=True)) < 0.02
    assert len(low["gradient_norms"]) == len(losses)
    assert all(0 < norm < 20 for norm in low["gradient_norms"])


def test_accelerate_trains_in_bf16_as_in_fp32(tmp_path):
    low = result("accelerate_language_model.py", "--steps", "20", "--output", str(tmp_path / "state"))
    full = result("accelerate_language_model.py", "--steps", "20", "--precision", "no")
    assert_learns_like_fp32(low, full)
    assert (low["precision"], low["skipped"]) == ("bf16", 0)
    assert low["learning_rate"] == 0.0  # the schedule counted optimizer steps, not batches
    assert {"model.safetensors", "optimizer.bin", "scheduler.bin"} <= {
        path.name for path in (tmp_path / "state").iterdir()
    }


def test_the_transformers_trainer_trains_in_bf16_as_in_fp32():
    low = result("transformers_trainer.py")
    full = result("transformers_trainer.py", "--precision", "no")
    assert_learns_like_fp32(low, full)
    assert low["weights"] == ["torch.float32"]
    assert low["accuracy"] > 0.45  # the commonest topic alone gives 0.36


@pytest.mark.parametrize("name", ["accelerate_language_model.py", "transformers_trainer.py"])
def test_fp16_that_would_silently_be_fp32_is_refused(name):
    done = run(name, "--precision", "fp16")
    assert (done.returncode, done.stdout) == (1, "")
    assert "trains in fp32 and does not say so" in done.stderr


@pytest.mark.parametrize("precision", ["fp16", "bf16"])
def test_lightning_trains_in_the_precision_that_was_asked_for(precision):
    seen = result("lightning_digits.py", "--precision", precision, warnings=LIGHTNINGS_OWN)
    assert seen["precision"] == precision
    assert seen["accuracy"] > 0.8
    assert len(seen["gradient_norms"]) == 2 * 23  # 45 batches an epoch, two a step
    assert all((scale is None) == (precision == "bf16") for scale in seen["scales"])


def check(target, output):
    command = [sys.executable, "-m", "verifier", "check", str(target), "--format", "json", "--output", str(output)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=120)
    return done.returncode, json.loads((output / "report.json").read_text("utf-8"))


def test_the_examples_are_clean_to_our_own_rules(tmp_path):
    code, report = check("docs/examples", tmp_path)
    assert (code, report["verdict"]) == (0, "PASS")
    assert [stage["status"] for stage in report["stages"]] == ["PASSED"] * 3
    assert report["stages"][0]["facts"]["counts"]["compiled"] == len(EXAMPLES) == 4
    found = [finding for stage in report["stages"] for finding in stage["findings"]]
    assert [finding for finding in found if finding["severity"] != "INFO"] == []


def test_an_example_that_clips_past_accelerate_would_not_be(tmp_path):
    text = (ROOT / "docs/examples/accelerate_language_model.py").read_text("utf-8")
    broken = tmp_path / "broken.py"
    broken.write_text(text.replace("accelerator.clip_grad_norm_(", "torch.nn.utils.clip_grad_norm_("), "utf-8")
    code, report = check(broken, tmp_path)
    assert (code, report["verdict"]) == (1, "BLOCK")
    assert "AMP505" in [finding["rule"] for stage in report["stages"] for finding in stage["findings"]]


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_our_own_loop_trains_and_goes_on_where_it_was(precision, tmp_path):
    first = result("train_digits.py", str(tmp_path), "--precision", precision, "--epochs", "2")
    second = result("train_digits.py", str(tmp_path), "--precision", precision, "--epochs", "4")
    assert (first["ended"], first["failures"]) == ("all epochs were trained", [])
    assert (len(first["accuracies"]), len(second["accuracies"])) == (2, 2)  # the second run trained the rest
    assert second["steps"] == 2 * first["steps"]  # and has the whole table
    assert second["accuracies"][-1] > 0.9
    assert (tmp_path / "plots" / "loss_scale.png").exists() == (precision == "fp16")
    lines = [json.loads(line) for line in (tmp_path / "figures.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines if "train/loss" in line] == list(range(1, second["steps"] + 1))
