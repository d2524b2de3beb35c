"""Train a tiny GPT-2 from random weights with Hugging Face Accelerate, in mixed precision and without a network.

    python docs/examples/accelerate_language_model.py --precision bf16 --steps 30

Accelerate owns the precision: it wraps the model's forward pass in autocast, scales the loss where FP16 needs it, and
unscales gradients before it clips them. So every act of the loop goes through it, in this order.
"""

from __future__ import annotations

import argparse
import json
import os

os.environ.setdefault("HF_HUB_OFFLINE", "1")  # nothing here is downloaded

import torch
from accelerate import Accelerator
from accelerate.utils import set_seed
from torch.utils.data import DataLoader
from transformers import GPT2Config, GPT2LMHeadModel, get_linear_schedule_with_warmup

from amp_runtime.workloads.language import VOCABULARY, encode, help_text

CONTEXT = 64
ACCUMULATION = 2


def tiny_gpt2() -> GPT2LMHeadModel:
    """Build a model of two layers from a configuration in code; weights stay float32, whatever the precision."""
    config = GPT2Config(
        vocab_size=VOCABULARY, n_positions=CONTEXT, n_embd=64, n_layer=2, n_head=4, bos_token_id=0, eos_token_id=0
    )
    model = GPT2LMHeadModel(config)
    model.loss_type = "ForCausalLM"
    return model


def training_data(count: int) -> torch.Tensor:
    """Return `count` passages of Python's own help texts, character by character, int64 `(count, CONTEXT)`."""
    tokens = encode(help_text())
    starts = torch.randint(len(tokens) - CONTEXT, (count,))
    return tokens[starts.unsqueeze(1) + torch.arange(CONTEXT)]


def train(precision: str, steps: int, output: str | None) -> dict[str, object]:
    set_seed(0)
    accelerator = Accelerator(mixed_precision=precision, gradient_accumulation_steps=ACCUMULATION)
    if precision == "fp16" and accelerator.scaler is None:
        # `accelerator.mixed_precision` would still say fp16.
        raise SystemExit("fp16: on a CPU Accelerate trains in fp32 and does not say so; use bf16, or a GPU")
    model = tiny_gpt2()
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    scheduler = get_linear_schedule_with_warmup(optimizer, num_warmup_steps=3, num_training_steps=steps)
    loader = DataLoader(training_data(steps * ACCUMULATION * 16), batch_size=16)
    # The scheduler too: a prepared one stands still while gradients accumulate and where the scaler skipped a step.
    model, optimizer, loader, scheduler = accelerator.prepare(model, optimizer, loader, scheduler)

    losses, norms, skipped = [], [], 0
    model.train()
    for tokens in loader:
        with accelerator.accumulate(model):
            loss = model(input_ids=tokens, labels=tokens).loss
            accelerator.backward(loss)  # not loss.backward(): this one scales, and divides by the accumulation
            if accelerator.sync_gradients:  # between them gradients are neither complete nor unscaled
                norms.append(accelerator.clip_grad_norm_(model.parameters(), 1.0))
            optimizer.step()
            skipped += accelerator.optimizer_step_was_skipped
            scheduler.step()
            optimizer.zero_grad()
        losses.append(loss.detach())
    if output is not None:
        accelerator.save_state(output)  # model, optimizer, scheduler, scaler, random generators
    means = torch.stack(losses).view(steps, ACCUMULATION).mean(1)
    return {
        "precision": accelerator.mixed_precision,
        "losses": means.tolist(),
        "gradient_norms": [float(norm) for norm in norms],
        "skipped": skipped,
        "learning_rate": scheduler.get_last_lr()[0],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--precision", choices=("no", "bf16", "fp16"), default="bf16")
    parser.add_argument("--steps", type=int, default=30)
    parser.add_argument("--output", help="folder for a checkpoint at the end")
    options = parser.parse_args()
    print(json.dumps(train(options.precision, options.steps, options.output)))


if __name__ == "__main__":
    main()
