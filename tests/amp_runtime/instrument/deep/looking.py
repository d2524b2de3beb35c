"""Look into one call of a program, and find things in the record."""

from __future__ import annotations

import torch

from amp_runtime.instrument.deep.watch import DeepWatch

HERE = __file__


def look(program, *, budget_bytes=2 << 30):
    """Run it under watch. Nothing may have gone wrong with watching."""
    watch = DeepWatch(budget_bytes=budget_bytes)
    assert watch.start() == ""
    try:
        program()
    finally:
        record = watch.stop()
    assert record.problems == ()
    return record


def facts(record, kind):
    return [fact for fact in record.facts if fact.kind == kind]


def kinds(record):
    return {fact.kind for fact in record.facts}


def amp_step(model, inputs, loss_of, *, dtype=torch.float16, scale=1024.0, lr=0.1, optimizer=None):
    """Return one step as PyTorch's AMP examples write it, and its optimizer."""
    optimizer = optimizer or torch.optim.SGD(model.parameters(), lr=lr)
    scaler = torch.amp.GradScaler("cpu", init_scale=scale, enabled=dtype is torch.float16)

    def step():
        optimizer.zero_grad()
        with torch.autocast("cpu", dtype=dtype, enabled=dtype is not torch.float32):
            loss = loss_of(model(inputs))
        scaler.scale(loss).backward()
        scaler.step(optimizer)
        scaler.update()

    return step
