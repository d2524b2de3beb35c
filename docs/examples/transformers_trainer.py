"""Train a tiny encoder from random weights with the Hugging Face Trainer, in mixed precision and without a network.

    python docs/examples/transformers_trainer.py --precision bf16 --steps 40

The Trainer owns the precision: the model is built in float32, and `bf16=True` (on a GPU also `fp16=True`, which brings
the loss scaler) chooses the format of each operation. A model that is loaded or cast to half precision would have
nothing left to accumulate small updates in.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile

os.environ.setdefault("HF_HUB_OFFLINE", "1")  # nothing here is downloaded

import torch
from torch.utils.data import Dataset
from transformers import (
    DistilBertConfig,
    DistilBertForSequenceClassification,
    EvalPrediction,
    PrinterCallback,
    Trainer,
    TrainingArguments,
)

from amp_runtime.workloads.encoder import PAD, TOPICS, load_paragraphs


class Paragraphs(Dataset):
    """Paragraphs of Python's help texts and their topics, as the Trainer's default collator wants them."""

    def __init__(self, words: torch.Tensor, topics: torch.Tensor) -> None:
        self.words = words
        self.topics = topics

    def __len__(self) -> int:
        return len(self.topics)

    def __getitem__(self, place: int) -> dict[str, torch.Tensor]:
        words = self.words[place]
        return {"input_ids": words, "attention_mask": (words != PAD).long(), "labels": self.topics[place]}


def tiny_encoder(vocabulary: int) -> DistilBertForSequenceClassification:
    """Build a model of two layers from a configuration in code."""
    config = DistilBertConfig(
        vocab_size=vocabulary,
        max_position_embeddings=64,
        dim=64,
        n_layers=2,
        n_heads=4,
        hidden_dim=128,
        num_labels=len(TOPICS),
        pad_token_id=PAD,
        dropout=0.0,
        seq_classif_dropout=0.0,
    )
    return DistilBertForSequenceClassification(config)


def accuracy(prediction: EvalPrediction) -> dict[str, float]:
    return {"accuracy": float((prediction.predictions.argmax(-1) == prediction.label_ids).mean())}


def train(precision: str, steps: int, output: str) -> dict[str, object]:
    arguments = TrainingArguments(
        output_dir=output,
        use_cpu=not torch.cuda.is_available(),
        bf16=precision == "bf16",
        fp16=precision == "fp16",
        max_steps=steps,
        per_device_train_batch_size=16,
        gradient_accumulation_steps=2,
        learning_rate=3e-3,
        warmup_steps=4,
        lr_scheduler_type="linear",
        max_grad_norm=1.0,
        label_smoothing_factor=0.1,
        logging_steps=1,
        save_strategy="no",
        report_to="none",
        disable_tqdm=True,
        seed=0,
    )
    data = load_paragraphs("cpu")
    torch.manual_seed(0)
    model = tiny_encoder(int(data.training[0].max()) + 1)
    trainer = Trainer(
        model=model,
        args=arguments,
        train_dataset=Paragraphs(*data.training),
        eval_dataset=Paragraphs(*data.validation),
        compute_metrics=accuracy,
    )
    if precision == "fp16" and trainer.accelerator.scaler is None:
        raise SystemExit("fp16: on a CPU the Trainer trains in fp32 and does not say so; use bf16, or a GPU")
    trainer.remove_callback(PrinterCallback)  # standard output is for the result
    trainer.train()
    log = [entry for entry in trainer.state.log_history if "loss" in entry]
    return {
        "precision": precision,
        "weights": sorted({str(parameter.dtype) for parameter in model.parameters()}),
        "losses": [entry["loss"] for entry in log],
        "gradient_norms": [float(entry["grad_norm"]) for entry in log],
        "accuracy": trainer.evaluate()["eval_accuracy"],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--precision", choices=("no", "bf16", "fp16"), default="bf16")
    parser.add_argument("--steps", type=int, default=40)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as output:
        print(json.dumps(train(options.precision, options.steps, output)))


if __name__ == "__main__":
    main()
