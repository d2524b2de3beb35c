"""AMP301 to 317: what a step that is looked into operator by operator shows of numbers in half."""

from __future__ import annotations

from collections.abc import Callable

import torch

from amp_runtime.instrument.looks import Looks
from tests.amp_runtime.instrument.rules.saying import only_alarm, silent

LOOKS = Looks(first=2, every=0, after_trouble=0)
Forward = Callable[[torch.Tensor], torch.Tensor]


def training(forward: Forward, *, dtype: torch.dtype = torch.float16, steps: int = 3) -> Callable[[], None]:
    """Return a training whose loss is the mean of `forward` of a hidden layer of about 1."""
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(16, 16), torch.nn.Tanh())
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-3)
    scaler = torch.amp.GradScaler("cpu", init_scale=1024.0, enabled=dtype is torch.float16)
    inputs = torch.randn(8, 16)

    def train() -> None:
        for _ in range(steps):
            optimizer.zero_grad()
            with torch.autocast("cpu", dtype=dtype):
                loss = forward(model(inputs)).float().mean()
            scaler.scale(loss).backward()
            scaler.step(optimizer)
            scaler.update()

    return train


def _bad(forward: Forward, code: str, text: str, **options: object):
    return only_alarm(training(forward, **options), code, text, within=forward, looks=LOOKS)  # type: ignore[arg-type]


def _good(forward: Forward, code: str, **options: object) -> None:
    silent(training(forward, **options), code, looks=LOOKS)  # type: ignore[arg-type]


def test_an_ordinary_training_is_silent() -> None:
    _good(lambda hidden: torch.nn.functional.layer_norm(hidden, (16,)).softmax(-1), "AMP301")
    _good(torch.nn.functional.gelu, "AMP301", dtype=torch.bfloat16)


def test_a_mask_of_minus_a_billion() -> None:
    def forward(hidden: torch.Tensor) -> torch.Tensor:
        scores = torch.where(hidden > 0, hidden, -1e9)
        return scores.softmax(-1)

    alarm = _bad(forward, "AMP301", "-1e9")
    assert alarm.values["scalar"] == -1e9


def test_a_mask_that_float16_holds_is_fine() -> None:
    def forward(hidden: torch.Tensor) -> torch.Tensor:
        scores = hidden.masked_fill(hidden > 0.9, torch.finfo(hidden.dtype).min)
        return scores.softmax(-1)

    _good(forward, "AMP301")


def test_an_eps_that_vanishes() -> None:
    def forward(hidden: torch.Tensor) -> torch.Tensor:
        positive = hidden.abs()
        return positive / (positive.sum(-1, keepdim=True, dtype=torch.float16) + 1e-8)

    alarm = _bad(forward, "AMP302", "1e-8")
    assert alarm.values == {"scalar": 1e-8, "rounded": 0.0}


def test_an_eps_in_float32_is_fine() -> None:
    def forward(hidden: torch.Tensor) -> torch.Tensor:
        positive = hidden.float().abs()
        return positive / (positive.sum(-1, keepdim=True) + 1e-8)

    _good(forward, "AMP302")


def test_a_limit_just_below_one() -> None:
    def forward(hidden: torch.Tensor) -> torch.Tensor:
        return hidden.abs().clamp(max=1 - 1e-7)

    _bad(forward, "AMP303", "1e-7")


def test_a_limit_that_half_tells_from_one_is_fine() -> None:
    _good(lambda hidden: hidden.abs().clamp(max=0.99), "AMP303")


def test_the_logarithm_of_a_sigmoid() -> None:
    def forward(hidden: torch.Tensor) -> torch.Tensor:
        gate = torch.sigmoid(hidden * 0 - 20)
        return torch.log(gate).clamp(min=-100) * 0 + hidden

    _bad(forward, "AMP304", "torch.log(gate)")


def test_logsigmoid_is_fine() -> None:
    _good(lambda hidden: torch.nn.functional.logsigmoid(hidden * 0 - 20) + hidden, "AMP304")


def test_squares_beyond_256() -> None:
    def forward(hidden: torch.Tensor) -> torch.Tensor:
        large = hidden.detach() * 400
        energy = large * large
        return hidden + torch.where(energy.isfinite(), 1.0, 2.0)

    _bad(forward, "AMP305", "large * large")


def test_a_norm_written_by_hand() -> None:
    def forward(hidden: torch.Tensor) -> torch.Tensor:
        large = hidden.detach() * 400
        scale = torch.rsqrt((large * large).mean(-1, keepdim=True) + 1e-3)
        return hidden + scale

    _bad(forward, "AMP317", "torch.rsqrt")


def test_squares_in_float32_are_fine() -> None:
    def forward(hidden: torch.Tensor) -> torch.Tensor:
        large = hidden.detach().float() * 400
        return hidden + torch.rsqrt((large * large).mean(-1, keepdim=True) + 1e-3)

    _good(forward, "AMP305")
    _good(forward, "AMP317")


def test_scores_that_overflow_before_they_are_scaled() -> None:
    def forward(hidden: torch.Tensor) -> torch.Tensor:
        query = hidden.detach().sign() * 100
        scores = query @ query.t()
        return hidden + torch.where(scores.isfinite(), 1.0, 2.0).mean()

    _bad(forward, "AMP306", "query @ query.t()")


def test_scores_of_scaled_queries_are_fine() -> None:
    def forward(hidden: torch.Tensor) -> torch.Tensor:
        query = hidden.detach().sign() * 100
        return hidden + ((query / 16) @ query.t()).mean()

    _good(forward, "AMP306")


def test_angles_by_a_matrix_product() -> None:
    def forward(hidden: torch.Tensor) -> torch.Tensor:
        positions = torch.arange(1000.0, 1008.0)[:, None]
        angles = positions @ torch.tensor([[1.001] * 16])
        return hidden + angles.cos()

    _bad(forward, "AMP307", "angles.cos()", dtype=torch.bfloat16)


def test_angles_in_float32_are_fine() -> None:
    def forward(hidden: torch.Tensor) -> torch.Tensor:
        positions = torch.arange(1000.0, 1008.0)[:, None]
        return hidden + (positions * torch.tensor([[1.001] * 16])).cos()

    _good(forward, "AMP307", dtype=torch.bfloat16)


def test_positions_in_half() -> None:
    def forward(hidden: torch.Tensor) -> torch.Tensor:
        steps = torch.arange(4096).to(hidden.dtype)
        return hidden + steps[:16] / 4096

    alarm = _bad(forward, "AMP308", "torch.arange")
    assert alarm.values == {"largest": 4095.0, "exact_to": 2048.0}


def test_positions_that_half_tells_apart_are_fine() -> None:
    _good(lambda hidden: hidden + torch.arange(16).to(hidden.dtype) / 16, "AMP308")


def test_a_running_total_in_half() -> None:
    total = torch.full((), 256.0, dtype=torch.bfloat16)

    def forward(hidden: torch.Tensor) -> torch.Tensor:
        total.add_(hidden.detach().abs().mean())
        return hidden

    alarm = _bad(forward, "AMP309", "total.add_", dtype=torch.bfloat16)
    assert alarm.values["sum"] == 256.0


def test_a_running_total_in_float32_and_a_small_second_term_are_fine() -> None:
    total = torch.full((), 256.0)

    def forward(hidden: torch.Tensor) -> torch.Tensor:
        total.add_(hidden.detach().abs().mean().float())
        loss = hidden.abs().mean()
        return loss + 1e-4 * hidden.abs().mean().detach()

    _good(forward, "AMP309")


def test_expanded_distances() -> None:
    def forward(hidden: torch.Tensor) -> torch.Tensor:
        points = hidden.detach() + 30
        squares = points.float().square().sum(-1)
        squared = squares[:, None] + squares[None, :] - 2 * (points @ points.t())
        return hidden + squared.to(hidden.dtype).sqrt().nan_to_num().mean()

    _bad(forward, "AMP310", ".sqrt()", dtype=torch.bfloat16)


def test_distances_in_float32_are_fine() -> None:
    def forward(hidden: torch.Tensor) -> torch.Tensor:
        points = hidden.detach().float()
        return hidden + torch.cdist(points, points).mean()

    _good(forward, "AMP310", dtype=torch.bfloat16)


def test_a_temperature_that_is_too_low() -> None:
    def forward(hidden: torch.Tensor) -> torch.Tensor:
        logits = hidden.detach() / 1e-2
        weights = torch.exp(logits)
        return hidden + weights.isfinite()

    _bad(forward, "AMP312", "torch.exp(logits)")


def test_a_temperature_in_float32_is_fine() -> None:
    _good(lambda hidden: hidden + torch.exp(hidden.detach().float() * 50).isfinite(), "AMP312")


def test_a_decomposition_in_half() -> None:
    def train() -> None:
        torch.linalg.cholesky(torch.eye(4, dtype=torch.bfloat16))

    only_alarm(train, "AMP313", "cholesky")


def test_a_decomposition_in_float32_is_fine() -> None:
    silent(lambda: torch.linalg.cholesky(torch.eye(4)))


def test_bfloat16_cast_to_float16() -> None:
    def forward(hidden: torch.Tensor) -> torch.Tensor:
        large = (hidden.detach().float() * 1e6).bfloat16()
        return hidden + large.half().isfinite()

    _bad(forward, "AMP316", "large.half()")


def test_bfloat16_that_float16_holds_is_fine() -> None:
    _good(lambda hidden: hidden + hidden.detach().bfloat16().half(), "AMP316")
