"""AMP208, 213, 214, 221, 318, 319, 403, 414, 801 to 805: what one step shows that was looked into."""

from __future__ import annotations

import contextlib

import torch

from amp_runtime.instrument.deep.records import DeepStep, Site, SyncSeen
from amp_runtime.instrument.precision_events import DeepStepSeen
from amp_runtime.instrument.records import Frame
from amp_runtime.instrument.rules.amp803_per_step_host_sync import CHECK
from amp_runtime.instrument.run import Run
from tests.amp_runtime.instrument.rules.saying import only_alarm, said, silent
from tests.amp_runtime.instrument.rules.test_numbers import LOOKS, training
from tests.amp_runtime.instrument.watching import program


class _Orthogonal(torch.optim.Optimizer):
    """Steps along the product of a gradient with its own transpose, as optimizers with preconditioners do."""

    def __init__(self, parameters: object) -> None:
        super().__init__(parameters, {})  # type: ignore[arg-type]

    @torch.no_grad()
    def step(self) -> None:  # type: ignore[override]
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None and parameter.dim() == 2:
                    direction = parameter.grad @ parameter.grad.t() @ parameter.grad
                    parameter.sub_(direction.float(), alpha=1e-3)


def test_an_optimizer_that_multiplies_under_autocast() -> None:
    made = program()
    optimizer = _Orthogonal(made.model.parameters())

    def train() -> None:
        for _ in range(3):
            with torch.autocast("cpu", dtype=torch.bfloat16):
                loss = made.model(made.inputs).float().mean()
                loss.backward()
                optimizer.step()

    only_alarm(train, "AMP208", "parameter.grad @", within=_Orthogonal, looks=LOOKS)

    def right() -> None:
        for _ in range(3):
            with torch.autocast("cpu", dtype=torch.bfloat16):
                loss = made.model(made.inputs).float().mean()
            loss.backward()
            optimizer.step()

    silent(right, "AMP208", looks=LOOKS)


def test_half_tensors_in_a_region_that_is_off() -> None:
    def forward(hidden: torch.Tensor) -> torch.Tensor:
        narrow = torch.nn.functional.linear(hidden, torch.eye(16))
        with torch.autocast("cpu", enabled=False):
            return narrow * narrow

    only_alarm(training(forward), "AMP213", "narrow * narrow", within=forward, looks=LOOKS)

    def right(hidden: torch.Tensor) -> torch.Tensor:
        with torch.autocast("cpu", enabled=False):
            return hidden.float() * hidden.float()

    silent(training(right), "AMP213", looks=LOOKS)


def test_a_loss_outside_of_autocast() -> None:
    made = program()

    def train() -> None:
        for _ in range(2):
            with torch.autocast("cpu", dtype=torch.bfloat16):
                out = made.model(made.inputs)
            torch.nn.functional.mse_loss(out, made.targets.bfloat16()).backward()
            made.optimizer.step()

    alarm = only_alarm(train, "AMP214", "mse_loss")
    assert "bfloat16" in alarm.message
    assert alarm.values["largest"] > 0

    def right() -> None:
        with torch.autocast("cpu", dtype=torch.bfloat16):
            out = made.model(made.inputs)
            loss = torch.nn.functional.mse_loss(out, made.targets)
        (loss + torch.nn.functional.mse_loss(out.float(), made.targets)).backward()

    silent(right, "AMP214")


def test_float32_added_to_half_in_place() -> None:
    def forward(hidden: torch.Tensor) -> torch.Tensor:
        narrow = torch.nn.functional.linear(hidden, torch.eye(16))
        narrow += torch.full((16,), 0.1)
        return narrow

    only_alarm(training(forward), "AMP221", "narrow +=", within=forward, looks=LOOKS)

    def right(hidden: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.linear(hidden, torch.eye(16)) + torch.full((16,), 0.1)

    silent(training(right), "AMP221", looks=LOOKS)


def test_an_activation_near_the_end_of_float16() -> None:
    def forward(hidden: torch.Tensor) -> torch.Tensor:
        wide = hidden.detach().sign().half() * 40000
        return hidden + wide / 40000

    alarm = only_alarm(training(forward), "AMP318", "* 40000", within=forward, looks=LOOKS)
    assert alarm.values["largest"] == 40000.0
    mask = torch.finfo(torch.float16).min

    def right(hidden: torch.Tensor) -> torch.Tensor:
        return hidden.half().masked_fill(hidden > 0.5, mask).float().softmax(-1) * hidden

    silent(training(right), "AMP318", looks=LOOKS)


def test_gradients_that_vanish_at_a_scale_that_is_too_small() -> None:
    def train(scale: float) -> None:
        torch.manual_seed(0)
        model = torch.nn.Sequential(torch.nn.Linear(16, 16), torch.nn.Tanh(), torch.nn.Linear(16, 1))
        optimizer = torch.optim.SGD(model.parameters(), lr=1e-3)
        scaler = torch.amp.GradScaler("cpu", init_scale=scale)
        inputs = torch.randn(8, 16)
        for _ in range(3):
            optimizer.zero_grad()
            with torch.autocast("cpu", dtype=torch.float16):
                loss = model(inputs).float().mean() * 1e-6
            scaler.scale(loss).backward()
            scaler.step(optimizer)
            scaler.update()

    (alarm,) = said(lambda: train(1.0), LOOKS).alarms
    assert alarm.code == "AMP319"
    assert alarm.values["zeroed"] > 0.25 * alarm.values["nonzero"]
    silent(lambda: train(2.0**16), "AMP319", looks=LOOKS)


def test_weights_in_bfloat16_that_do_not_move() -> None:
    def train(lr: float) -> None:
        torch.manual_seed(0)
        model = torch.nn.Linear(16, 16).bfloat16()
        optimizer = torch.optim.AdamW(model.parameters(), lr=lr)
        inputs = torch.randn(8, 16).bfloat16()
        for _ in range(3):
            optimizer.zero_grad()
            model(inputs).float().square().mean().backward()
            optimizer.step()

    alarm = only_alarm(lambda: train(1e-6), "AMP403", "optimizer.step()", within=train, looks=LOOKS)
    assert alarm.values["unchanged"] > 0.9 * alarm.values["elements"]
    silent(lambda: train(1e-2), "AMP403", looks=LOOKS)


def test_gradients_accumulated_in_bfloat16() -> None:
    def train(weights: tuple[float, ...]) -> None:
        torch.manual_seed(0)
        model = torch.nn.Linear(16, 1).bfloat16()
        optimizer = torch.optim.SGD(model.parameters(), lr=1e-3)
        inputs = torch.rand(8, 16).bfloat16() + 0.5
        for _ in range(3):
            optimizer.zero_grad()
            for weight in weights:
                (model(inputs).float().mean() * weight).backward()
            optimizer.step()

    alarm = only_alarm(lambda: train((900.0, 1.0)), "AMP414", "* weight).backward()", within=train, looks=LOOKS)
    assert alarm.values["share"] >= 0.9
    silent(lambda: train((1.0,) * 8), "AMP414", looks=LOOKS)


def test_little_arithmetic_in_half() -> None:
    torch.manual_seed(0)
    model, inputs = torch.nn.Linear(64, 64), torch.randn(64, 64)
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-3)

    def train(in_half: bool) -> None:
        for _ in range(3):
            with torch.autocast("cpu", dtype=torch.bfloat16):
                hidden = model(inputs)
                if not in_half:
                    hidden = hidden.float()
                    for _more in range(3):
                        torch.mm(hidden.detach(), inputs, out=torch.empty(64, 64))
                loss = hidden.float().mean()
            loss.backward()
            optimizer.step()

    (alarm,) = said(lambda: train(False), LOOKS).alarms
    assert alarm.code == "AMP801"
    assert alarm.values["float32"] > alarm.values["total"] / 2
    silent(lambda: train(True), "AMP801", looks=LOOKS)


def test_a_recurrence_that_enters_autocast_in_every_turn() -> None:
    made = program()
    cell = torch.nn.Linear(8, 8)
    optimizer = torch.optim.SGD(cell.parameters(), lr=1e-3)

    def train(inside: bool) -> None:
        for _ in range(3):
            hidden = made.inputs
            with torch.autocast("cpu", dtype=torch.bfloat16) if not inside else contextlib.nullcontext():
                for _turn in range(12):
                    with torch.autocast("cpu", dtype=torch.bfloat16):
                        hidden = cell(hidden)  # in every turn
            hidden.float().mean().backward()
            optimizer.step()
            optimizer.zero_grad()

    alarm = only_alarm(lambda: train(True), "AMP802", "# in every turn", within=train, looks=LOOKS)
    assert alarm.values["casts"] == 12.0
    silent(lambda: train(False), "AMP802", looks=LOOKS)


def _waits(*, would: bool, line: int) -> DeepStepSeen:
    frame = Frame(path="train.py", line=line, function="train")
    site = Site(module="", operator="aten._local_scalar_dense", phase="forward", through="Tensor.item", frame=frame)
    record = DeepStep(operators=9, seconds=0.1, syncs=(SyncSeen(site=site, device="cuda", would=would, count=2),))
    return DeepStepSeen(place=("train.py", 1), step=2, record=record, skipped=False)


def test_waiting_for_a_device_in_every_step() -> None:
    """No device here to wait for: the records are written by hand."""
    run = Run((CHECK,), ())
    run.emit(_waits(would=False, line=7))
    assert run.alarms() == ()
    run.emit(_waits(would=False, line=7))
    (alarm,) = run.alarms()
    assert (alarm.code, alarm.frames[-1].line, alarm.values) == ("AMP803", 7, {"waits": 2.0})


def test_waiting_now_and_then_or_on_a_cpu_is_fine() -> None:
    run = Run((CHECK,), ())
    for line in (7, 8):
        run.emit(_waits(would=False, line=line))
    for _ in range(2):
        run.emit(_waits(would=True, line=9))
    assert run.alarms() == ()


def test_a_vocabulary_that_is_no_multiple_of_eight() -> None:
    def train(words: int) -> None:
        torch.manual_seed(0)
        model = torch.nn.Linear(16, words)
        optimizer = torch.optim.SGD(model.parameters(), lr=1e-3)
        for _ in range(3):
            with torch.autocast("cpu", dtype=torch.bfloat16):
                loss = model(torch.ones(8, 16)).float().mean()
            loss.backward()
            optimizer.step()

    alarm = only_alarm(lambda: train(1001), "AMP805", "model(torch.ones", within=train, looks=LOOKS)
    assert alarm.values["n"] == 1001.0
    silent(lambda: train(1000), "AMP805", looks=LOOKS)
