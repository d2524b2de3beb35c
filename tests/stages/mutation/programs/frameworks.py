import lightning
import torch
from accelerate import Accelerator
from transformers import AutoModel, Trainer, TrainingArguments


def train(model, optimizer, loader):
    accelerator = Accelerator(mixed_precision="fp16")
    model, optimizer, loader = accelerator.prepare(model, optimizer, loader)
    for x in loader:
        accelerator.backward(model(x))
        accelerator.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()


class Module(lightning.LightningModule):
    def training_step(self, batch, index):
        self.manual_backward(self.model(batch))

    def on_before_optimizer_step(self, optimizer):
        self.log("norm", self.model.weight.grad.norm())


def tune(name):
    model = AutoModel.from_pretrained(name)
    Trainer(model=model, args=TrainingArguments(fp16=True)).train()
