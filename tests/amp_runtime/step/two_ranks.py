"""One of two processes that train together over gloo: runs every scenario and leaves what it saw in a file.

`python -m tests.amp_runtime.step.two_ranks RANK FOLDER`
"""

from __future__ import annotations

import sys
from pathlib import Path

import torch
from torch import distributed as dist
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import FullyShardedDataParallel, MixedPrecisionPolicy, fully_shard
from torch.nn.parallel import DistributedDataParallel

from amp_runtime.ema import ExponentialMovingAverage
from amp_runtime.objective import Outcome
from amp_runtime.policy import Bf16Policy, Fp32Policy
from amp_runtime.step import NonFinite, NonFiniteError, StepOptions, TrainingStep
from tests.amp_runtime.problems import OVERFLOW, batches, fp16, network, regression, split_optimizers

RANKS = 2
STEPS = 3


def shared_batches(rank, count, sizes=(4, 4)):
    """What this rank sees of `count` rounds of data; the test trains on all of it in one process."""
    return [
        (inputs[start:stop], targets[start:stop], 1.0)
        for inputs, targets, _ in batches(count, size=sum(sizes))
        for start, stop in [(0, sizes[0]) if rank == 0 else (sizes[0], sum(sizes))]
    ]


def replicated(policy, *, reductions=None, objective=regression, ema=False, **settings):
    model = network()
    replica = DistributedDataParallel(model)
    if reductions is not None:
        replica.register_comm_hook(reductions, count_and_average)
    optimizer = torch.optim.SGD(replica.parameters(), lr=0.1, momentum=0.9)
    average = ExponentialMovingAverage(replica, 0.5) if ema else None
    return TrainingStep(replica, optimizer, policy, objective, ema=average, **settings)


def count_and_average(reductions, bucket):
    reductions.append(bucket.index())
    done = dist.all_reduce(bucket.buffer().div_(RANKS), async_op=True)
    return done.get_future().then(lambda future: future.value()[0])


def sharded(policy, mixed=None, *, mesh=None, pair=False, objective=regression, ema=False, **settings):
    model = network()
    for module in (model[0], model[2], model):
        fully_shard(module, mesh=mesh, mp_policy=mixed or MixedPrecisionPolicy())
    optimizer = split_optimizers(model) if pair else torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    average = ExponentialMovingAverage(model, 0.5) if ema else None
    return TrainingStep(model, optimizer, policy, objective, ema=average, **settings)


def whole(tensors):
    return [(t.full_tensor() if hasattr(t, "full_tensor") else t).detach().clone() for t in tensors]


def train(step, windows):
    reports = [step.run(window) for window in windows]
    return {
        "weights": whole(step.model.parameters()),
        "norms": [report.grad_norm for report in reports],
        "skipped": [report.skipped for report in reports],
        "scale": step.policy.scaler.current_scale if step.policy.scaler else None,
    }


def pairs(found):
    return [found[i : i + 2] for i in range(0, len(found), 2)]


def bad_on_one_rank(rank):
    """The second of three steps overflows on rank 1 alone."""
    found = shared_batches(rank, STEPS)
    if rank == 1:
        found[1] = (*found[1][:2], OVERFLOW)
    return [[batch] for batch in found]


def nan_loss(model, batch):
    """A NaN loss with finite gradients where the batch's factor is not 1."""
    outcome = regression(model, (*batch[:2], 1.0))
    return Outcome(loss=outcome.loss + (0.0 if batch[2] == 1 else float("nan")), examples=outcome.examples)


def raises_everywhere(rank):
    step = replicated(Bf16Policy(), objective=nan_loss)
    before = whole(step.model.parameters())
    said = []
    for window in bad_on_one_rank(rank):
        try:
            step.run(window)
        except NonFiniteError as error:
            said.append(str(error))
    moved = not all(torch.equal(a, b) for a, b in zip(before, step.model.parameters(), strict=True))
    return {"said": said, "moved": moved}


def reductions_of(rank, **options):
    seen = []
    train(replicated(Fp32Policy(), reductions=seen, options=StepOptions(**options)), [shared_batches(rank, 3)])
    return seen


def average_of(step, rank):
    train(step, [[batch] for batch in shared_batches(rank, STEPS)])
    own = whole(step.model.parameters())
    with step.ema.swapped():
        swapped = whole(step.model.parameters())
    back = all(torch.equal(a, b) for a, b in zip(own, whole(step.model.parameters()), strict=True))
    return {"averages": whole(step.ema.state_dict()["averages"].values()), "swapped": swapped, "back": back}


def fsdp1_refusal():
    model = FullyShardedDataParallel(network(), device_id=torch.device("cpu"))
    try:
        TrainingStep(model, torch.optim.SGD(model.parameters(), lr=0.1), fp16(), regression)
    except ValueError as error:
        return str(error)
    return "accepted"


def replicas(rank):
    by_size = {"batch_size": lambda batch: len(batch[0])}
    uneven = shared_batches(rank, 2 * STEPS, sizes=(3, 9))
    skip = StepOptions(nonfinite=NonFinite.SKIP)
    return {
        "ddp": train(replicated(Fp32Policy()), [[batch] for batch in shared_batches(rank, STEPS)]),
        "ddp accumulating": train(replicated(Fp32Policy()), pairs(shared_batches(rank, 2 * STEPS))),
        "ddp by size": train(replicated(Fp32Policy(), **by_size), pairs(uneven)),
        "ddp fp16": train(replicated(fp16(), options=StepOptions(clip_norm=0.5)), bad_on_one_rank(rank)),
        "ddp skip": train(replicated(Bf16Policy(), objective=nan_loss, options=skip), bad_on_one_rank(rank)),
        "ddp raise": raises_everywhere(rank),
        "ddp reductions": reductions_of(rank),
        "ddp reductions each": reductions_of(rank, sync_every_backward=True),
        "ddp ema": average_of(replicated(Fp32Policy(), ema=True), rank),
    }


def shards(rank):
    single = [[batch] for batch in shared_batches(rank, STEPS)]
    doubled = pairs(shared_batches(rank, 2 * STEPS))
    clip, each = StepOptions(clip_norm=0.1), StepOptions(clip_norm=0.1, sync_every_backward=True)
    by_size = {"batch_size": lambda batch: len(batch[0])}
    uneven = pairs(shared_batches(rank, 2 * STEPS, sizes=(3, 9)))
    skip = {"objective": nan_loss, "options": StepOptions(nonfinite=NonFinite.SKIP)}
    hybrid = init_device_mesh("cpu", (RANKS, 1), mesh_dim_names=("replicate", "shard"))
    low = {name: MixedPrecisionPolicy(param_dtype=dtype, reduce_dtype=torch.float32) for name, dtype in LOW.items()}
    return {
        "fsdp": train(sharded(Fp32Policy(), options=clip), single),
        "fsdp by value": train(sharded(Fp32Policy(), options=StepOptions(clip_value=0.02)), single),
        "fsdp accumulating": train(sharded(Fp32Policy(), options=clip), doubled),
        "fsdp accumulating each": train(sharded(Fp32Policy(), options=each), doubled),
        "fsdp bf16": train(sharded(Fp32Policy(), low["bf16"], options=clip), single),
        "fsdp fp16": train(sharded(fp16(), low["fp16"], options=clip), bad_on_one_rank(rank)),
        "fsdp autocast": train(sharded(Bf16Policy(), options=clip), single),
        "fsdp by size": train(sharded(Fp32Policy(), **by_size), uneven),
        "fsdp skip": train(sharded(Bf16Policy(), **skip), bad_on_one_rank(rank)),
        "fsdp pair": train(sharded(fp16(), low["fp16"], pair=True, options=clip), bad_on_one_rank(rank)),
        "hsdp": train(sharded(Fp32Policy(), mesh=hybrid, options=clip), single),
        "hsdp skip": train(sharded(Bf16Policy(), mesh=hybrid, **skip), bad_on_one_rank(rank)),
        "fsdp ema": average_of(sharded(Fp32Policy(), ema=True), rank),
        "fsdp1": fsdp1_refusal(),
    }


LOW = {"bf16": torch.bfloat16, "fp16": torch.float16}


def main(rank, folder):
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder}/store", rank=rank, world_size=RANKS)
    seen = {**replicas(rank), **shards(rank)}
    torch.save(seen, folder / f"{rank}.pt")
    dist.destroy_process_group()


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]))
