"""AMP401: A model whose parameters are float16 is trained with a GradScaler."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stages._source.wanted import Wanted
from stages.logic.adapters import added_to_half, casts_of_shared_pipelines, loaded_as_trained
from stages.logic.engine.events import Stepped, Unscaled
from stages.logic.engine.precision import casts_of
from stages.logic.masters import trains_a_part
from stages.logic.problems import Problem
from verifier.api import Bad, Good, RuleInfo, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stages._source.program.scopes import Scope
    from stages.logic.adapters import Added
    from stages.logic.view import View

RULE = RuleInfo(
    code="AMP401",
    name="half-model-with-scaler",
    severity=Severity.HIGH,
    summary="A model whose parameters are float16 is trained with a GradScaler.",
    why=(
        "The scaler refuses to unscale float16 gradients: `ValueError: Attempting to unscale FP16 gradients.` at"
        " the first step. Autocast needs no half parameters: it casts what its operations use."
    ),
    mode="both",
    examples=(
        Bad("""
            import torch

            def train(loader, criterion):
                model = torch.nn.Linear(8, 8).cuda().half()  # expect: AMP401
                optimizer = torch.optim.AdamW(model.parameters())
                scaler = torch.amp.GradScaler("cuda")
                for x, y in loader:
                    with torch.autocast("cuda"):
                        loss = criterion(model(x), y)
                    scaler.scale(loss).backward()
                    scaler.step(optimizer)
                    scaler.update()
                    optimizer.zero_grad()
        """),
        Bad("""
            import torch
            from transformers import AutoModelForCausalLM

            def train(name, loader):
                model = AutoModelForCausalLM.from_pretrained(name, torch_dtype=torch.float16)  # expect: AMP401
                optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
                scaler = torch.cuda.amp.GradScaler()
                for batch in loader:
                    loss = model(**batch).loss
                    scaler.scale(loss).backward()
                    scaler.unscale_(optimizer)
                    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
                    scaler.step(optimizer)
                    scaler.update()
                    optimizer.zero_grad()
        """),
        Bad("""
            import torch
            from networks import Critic

            def main(config, loader, criterion):
                critic = Critic(3).to(config.device)
                critic.half()  # expect: AMP401
                optimizer = torch.optim.Adam(critic.parameters())
                scaler = torch.amp.GradScaler("cuda")
                for x, y in loader:
                    with torch.autocast("cuda"):
                        loss = criterion(critic(x), y)
                    scaler.scale(loss).backward()
                    scaler.step(optimizer)
                    scaler.update()
                    optimizer.zero_grad()
        """),
        Bad("""
            import torch
            from accelerate import Accelerator

            def main(args, unet, config, loader):
                accelerator = Accelerator(mixed_precision=args.mixed_precision)
                dtype = torch.float32
                if accelerator.mixed_precision == "fp16":
                    dtype = torch.float16
                unet.requires_grad_(False)
                unet.to(accelerator.device, dtype=dtype)
                unet.add_adapter(config)  # expect: AMP401
                optimizer = torch.optim.AdamW(filter(lambda p: p.requires_grad, unet.parameters()))
                unet, optimizer, loader = accelerator.prepare(unet, optimizer, loader)
        """),
        Bad("""
            import torch
            from transformers import AutoModelForCausalLM, Trainer

            def main(args, train_args):
                dtype = torch.float16 if train_args.fp16 else torch.bfloat16  # expect: AMP401
                model = AutoModelForCausalLM.from_pretrained(args.name, torch_dtype=dtype)
                Trainer(model=model, args=train_args).train()
        """),
        Bad("""
            import torch
            from accelerate import Accelerator
            from diffusers import DiffusionPipeline
            from diffusers.training_utils import cast_training_params

            def log_validation(pipeline, accelerator, torch_dtype):
                pipeline = pipeline.to(accelerator.device, dtype=torch_dtype)  # expect: AMP401
                return pipeline("a dog").images

            def main(args, unet, optimizer, batches, unwrap_model):
                accelerator = Accelerator(mixed_precision="fp16")
                cast_training_params(unet, dtype=torch.float32)
                unet, optimizer = accelerator.prepare(unet, optimizer)
                for batch in batches:
                    accelerator.backward(unet(batch))
                    optimizer.step()
                    pipeline = DiffusionPipeline.from_pretrained(args.name, unet=unwrap_model(unet))
                    log_validation(pipeline, accelerator, torch.float16)
        """),
        Good("""
            import torch
            from accelerate import Accelerator
            from diffusers.training_utils import cast_training_params
            from transformers import AutoModelForCausalLM, Trainer

            def main(args, unet, config, loader):
                accelerator = Accelerator(mixed_precision=args.mixed_precision)
                dtype = torch.float32
                if accelerator.mixed_precision == "fp16":
                    dtype = torch.float16
                unet.to(accelerator.device, dtype=dtype)
                unet.add_adapter(config)
                if args.mixed_precision == "fp16":
                    cast_training_params(unet, dtype=torch.float32)
                optimizer = torch.optim.AdamW(filter(lambda p: p.requires_grad, unet.parameters()))
                unet, optimizer, loader = accelerator.prepare(unet, optimizer, loader)

            def tune(args, train_args):
                dtype = torch.bfloat16 if train_args.bf16 else torch.float32
                model = AutoModelForCausalLM.from_pretrained(args.name, torch_dtype=dtype)
                Trainer(model=model, args=train_args).train()
        """),
        Good("""
            import copy
            import torch

            def train(loader, teacher, criterion):
                model = torch.nn.Linear(8, 8).cuda()
                teacher = teacher.half()
                optimizer = torch.optim.AdamW(model.parameters())
                scaler = torch.amp.GradScaler("cuda")
                for x in loader:
                    with torch.autocast("cuda"):
                        loss = criterion(model(x), teacher(x.half()))
                    scaler.scale(loss).backward()
                    scaler.step(optimizer)
                    scaler.update()
                    optimizer.zero_grad()
                torch.save(copy.deepcopy(model).half().state_dict(), "model.pt")
        """),
        Good("""
            import torch

            def train(net, loader):
                net = net.half()
                net.float()
                optimizer = torch.optim.AdamW(net.parameters())
                scaler = torch.amp.GradScaler("cuda")
                for x in loader:
                    scaler.scale(net(x).mean()).backward()
                    scaler.step(optimizer)
                    scaler.update()
                    optimizer.zero_grad()

            def evaluate(net, loader):
                net = net.half().eval()
                return [net(x.half()) for x in loader]
        """),
        Good("""
            import torch
            from apex.optimizers import FusedMixedPrecisionLamb

            def train(net, loader, criterion):
                net = net.cuda().half()
                optimizer = FusedMixedPrecisionLamb(net.parameters(), lr=1e-3)
                scaler = torch.amp.GradScaler("cuda")
                for x, y in loader:
                    optimizer.zero_grad()
                    scaler.scale(criterion(net(x), y).float()).backward()
                    scaler.step(optimizer)  # keeps float32 weights, and unscales inside of its step
                    scaler.update()
        """),
    ),
)


def check(event: Stepped | Unscaled) -> Iterator[Problem]:
    """Report what unscales the gradients of parameters that were cast to float16 before the optimizer was made."""
    if event.scaler is None or event.scaler.enabled is False or _may_unscale_itself(event):
        return
    for cast in casts_of(event.state, event.optimizer):
        if cast.dtype == "float16" and not cast.late:
            yield Problem(
                place=cast.place,
                message=f"{event.optimizer.label} gets float16 parameters, which the scaler refuses to unscale",
                remedy="Keep the parameters in float32 and let autocast cast: drop the cast or the `torch_dtype`.",
                related=((event.place, "the scaler meets their gradients"),),
                scaler=event.scaler,
                suspicion=trains_a_part(cast.place.module) or trains_a_part(event.place.module),
            )
            return


def _may_unscale_itself(event: Stepped | Unscaled) -> bool:
    """Say whether the scaler may leave unscaling to the optimizer's own step, as it does with fused ones."""
    named = event.optimizer.label + event.optimizer.cls
    return isinstance(event, Stepped) and (event.optimizer.fused or "fused" in named.lower())


READS = Wanted(some=(b"add_adapter", b"load_lora_adapter", b"unwrap_model", b"fp16"))


def inspect(view: View) -> Iterator[Problem]:
    """Report adapters of a half model, and models that a trainer's own flag loads in half: suspicions."""
    if any(view.mentions(word) for word in ("mixed_precision", "GradScaler")):
        yield from _of_adapters(view)
        for call in casts_of_shared_pipelines(view):
            yield Problem(
                place=view.place(call),
                message="this pipeline shares the module that is trained, and casts what is trained to half with it",
                remedy="Move the pipeline only, and leave out the dtype.",
                suspicion=True,
            )
    if any(view.mentions(word) for word in ("Trainer", "TrainingArguments")):
        for choice in loaded_as_trained(view):
            yield Problem(
                place=view.place(choice),
                message="the flag that trains with a scaler loads the model in float16",
                remedy="Load in float32, or in bfloat16 with `bf16=True`, and let the trainer cast.",
                suspicion=True,
            )


def _of_adapters(view: View) -> Iterator[Problem]:
    """Report the first model of each function: what is left out there is left out for all of them."""
    by_function: dict[Scope, list[Added]] = {}
    for added in added_to_half(view):
        by_function.setdefault(added.scope, []).append(added)
    for first, *others in by_function.values():
        yield Problem(
            place=view.place(first.call),
            message=f"what is trained of `{first.model}` may be float16, as `{first.model}` is, under a scaler",
            remedy="Cast the parameters that are trained to float32: `cast_training_params(model)`.",
            related=(
                (view.place(first.cast), "the model may become float16"),
                *((view.place(item.call), f"the same of `{item.model}`") for item in others),
            ),
            suspicion=True,
        )


CHECKS = {Stepped: check, Unscaled: check}
