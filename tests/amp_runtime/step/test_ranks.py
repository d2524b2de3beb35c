"""Two real processes over gloo, run once for all tests; what they saw is compared with one process on all the data."""

from __future__ import annotations

import os

import pytest
import torch

from amp_runtime.policy import Fp32Policy
from amp_runtime.step import StepOptions
from amp_runtime.step.ranks import Ranks, ranks_of
from tests.amp_runtime import warm
from tests.amp_runtime.problems import batches, make_step, network, same, weights

STEPS = 3


@pytest.fixture(scope="module")
def seen(tmp_path_factory):
    folder = tmp_path_factory.mktemp("ranks")
    options = {"env": {**os.environ, "GLOO_SOCKET_IFNAME": "lo"}, "warn": "default"}
    running = [warm.start("-m", "tests.amp_runtime.step.two_ranks", str(rank), folder, **options) for rank in (0, 1)]
    try:
        said = [process.communicate(timeout=200) for process in running]
    finally:
        for process in running:
            process.kill()
    assert [process.returncode for process in running] == [0, 0], said
    return [torch.load(folder / f"{rank}.pt", weights_only=True) for rank in (0, 1)]


def alone(sizes, *, accumulation=1, options=None):
    """Train one process on the whole of the data that the two ranks share."""
    step = make_step(Fp32Policy(), options=options)
    found = batches(STEPS * accumulation, size=sum(sizes))
    for start in range(0, len(found), accumulation):
        step.run(found[start : start + accumulation])
    return weights(step.model)


def close(left, right, tolerance=1e-6):
    return all(torch.allclose(a, b, atol=tolerance) for a, b in zip(left, right, strict=True))


REPLICATED = ["ddp", "ddp accumulating", "ddp by size", "ddp fp16", "ddp skip"]
SHARDED = [
    "fsdp",
    "fsdp by size",
    "fsdp accumulating",
    "fsdp accumulating each",
    "fsdp bf16",
    "fsdp fp16",
    "fsdp autocast",
    "fsdp skip",
    "fsdp pair",
    "hsdp",
    "hsdp skip",
]


@pytest.mark.parametrize("name", REPLICATED + SHARDED)
def test_both_ranks_hold_the_same_weights_scale_norms_and_skips(seen, name):
    first, second = (rank[name] for rank in seen)
    assert same(first["weights"], second["weights"])
    assert all(bool(weight.isfinite().all()) for weight in first["weights"])
    assert (first["skipped"], first["scale"]) == (second["skipped"], second["scale"])
    assert first["norms"] == pytest.approx(second["norms"], rel=1e-6, nan_ok=True)
    assert not same(first["weights"], weights(network()))


def test_two_ranks_equal_one_process_on_all_data(seen):
    assert close(seen[0]["ddp"]["weights"], alone((4, 4)))


def test_accumulation_over_ranks_equals_one_process(seen):
    assert close(seen[0]["ddp accumulating"]["weights"], alone((4, 4), accumulation=2))


@pytest.mark.parametrize("name", ["ddp by size", "fsdp by size"])
def test_ranks_with_more_examples_weigh_more(seen, name):
    assert close(seen[0][name]["weights"], alone((3, 9), accumulation=2))


def test_gradients_are_exchanged_once_per_step(seen):
    assert [rank["ddp reductions"] for rank in seen] == [[0], [0]]


def test_they_are_exchanged_after_every_backward_where_asked(seen):
    assert [rank["ddp reductions each"] for rank in seen] == [[0, 0, 0]] * 2


@pytest.mark.parametrize("name", ["ddp fp16", "fsdp fp16", "fsdp pair"])
def test_an_overflow_on_one_rank_skips_both_and_halves_both_scales(seen, name):
    for rank in seen:
        assert rank[name]["skipped"] == [False, True, False]
        assert rank[name]["scale"] == 512


@pytest.mark.parametrize("name", ["ddp skip", "fsdp skip", "hsdp skip"])
def test_a_nan_loss_on_one_rank_withholds_the_step_of_both(seen, name):
    for rank in seen:
        assert rank[name]["skipped"] == [False, True, False]


def test_a_nan_loss_on_one_rank_raises_on_both(seen):
    for rank, loss in zip(seen, (r"loss 0", r"loss nan"), strict=True):
        (said,) = rank["ddp raise"]["said"]
        assert said.startswith(f"step 2: {loss}")
        assert rank["ddp raise"]["moved"]


@pytest.mark.parametrize("name", ["ddp ema", "fsdp ema"])
def test_the_average_is_the_same_on_both_ranks_and_swaps(seen, name):
    first, second = (rank[name] for rank in seen)
    assert same(first["averages"], second["averages"])
    assert same(first["swapped"], first["averages"])
    assert first["back"]
    assert second["back"]
    assert close(first["averages"], seen[0]["ddp ema"]["averages"])


def test_sharded_training_with_clipping_equals_one_process(seen):
    options = StepOptions(clip_norm=0.1)
    assert close(seen[0]["fsdp"]["weights"], alone((4, 4), options=options))
    assert close(seen[0]["hsdp"]["weights"], alone((4, 4), options=options))
    assert close(seen[0]["fsdp accumulating"]["weights"], alone((4, 4), accumulation=2, options=options))
    assert close(seen[0]["fsdp accumulating each"]["weights"], alone((4, 4), accumulation=2, options=options))


def test_sharded_gradients_are_clipped_by_value(seen):
    assert close(seen[0]["fsdp by value"]["weights"], alone((4, 4), options=StepOptions(clip_value=0.02)))


@pytest.mark.parametrize("name", ["fsdp bf16", "fsdp autocast"])
def test_sharded_low_precision_tracks_float32(seen, name):
    exact = seen[0]["fsdp"]["weights"]
    assert close(seen[0][name]["weights"], exact, tolerance=5e-3)
    assert not same(seen[0][name]["weights"], exact)


def test_fsdp1_is_refused(seen):
    assert all("use fully_shard (FSDP2) instead" in rank["fsdp1"] for rank in seen)


def test_a_model_without_a_distributed_wrapper_is_alone():
    ranks = ranks_of(network())
    flag = torch.tensor(True)
    assert type(ranks) is Ranks
    assert (ranks.size, ranks.total(3.0), ranks.any(flag)) == (1, 3.0, flag)
