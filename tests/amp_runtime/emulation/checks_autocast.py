"""Autocast as a program meets it: nesting, dtypes, the cache of weights, clashes and bans."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional

DEVICES = ("cuda", "cpu")


def check_cuda_casts_to_float16_unless_told():
    with torch.autocast("cuda"):
        assert torch.is_autocast_enabled("cuda")
        assert torch.get_autocast_dtype("cuda") == torch.float16
        assert (
            functional.linear(torch.ones(2, 2, device="cuda"), torch.ones(2, 2, device="cuda")).dtype == torch.float16
        )
    with pytest.warns(FutureWarning), torch.cuda.amp.autocast(dtype=torch.bfloat16):
        assert (torch.ones(2, 2, device="cuda") @ torch.ones(2, 2, device="cuda")).dtype == torch.bfloat16


def check_a_nested_context_can_switch_it_off():
    for device in DEVICES:
        x = torch.ones(2, 2, device=device)
        with torch.autocast(device, dtype=torch.float16):
            with torch.autocast(device, enabled=False):
                assert (x @ x).dtype == torch.float32
            assert (x @ x).dtype == torch.float16
        assert (x @ x).dtype == torch.float32


def _weight_seen(device: str, *, cache_enabled: bool = True) -> tuple[float, float]:
    """Change a weight inside of a context; return what a product saw before and after."""
    weight = nn.Parameter(torch.ones(1, 1, device=device))
    x = torch.ones(1, 1, device=device)
    with torch.autocast(device, dtype=torch.float16, cache_enabled=cache_enabled):
        before = (x @ weight).item()
        with torch.no_grad():
            weight.fill_(3.0)
        with torch.autocast(device, dtype=torch.float16, cache_enabled=cache_enabled):
            pass  # leaving a nested context does not empty the cache
        return before, (x @ weight).item()


def check_the_cache_keeps_stale_weights_as_on_cuda():
    for device in DEVICES:
        assert _weight_seen(device) == (1.0, 1.0)
        assert _weight_seen(device, cache_enabled=False) == (1.0, 3.0)


def check_leaving_the_outermost_context_empties_the_cache():
    for device in DEVICES:
        weight = nn.Parameter(torch.ones(1, 1, device=device))
        seen = []
        for _ in range(2):
            with torch.autocast(device, dtype=torch.float16):
                seen.append((torch.ones(1, 1, device=device) @ weight).item())
            with torch.no_grad():
                weight.fill_(3.0)
        assert seen == [1.0, 3.0]


def check_a_cast_made_without_gradients_does_not_cut_off_the_weight():
    for device in DEVICES:
        layer = nn.Linear(2, 2).to(device)
        x = torch.ones(1, 2, device=device)
        with torch.autocast(device, dtype=torch.float16):
            with torch.no_grad():
                layer(x)
            layer(x).float().sum().backward()
        assert layer.weight.grad.dtype == torch.float32
        assert layer.weight.grad.abs().sum().item() > 0


def check_binary_cross_entropy_is_forbidden_in_cuda_words():
    for device in DEVICES:
        z, y = torch.rand(4, device=device), torch.ones(4, device=device)
        with torch.autocast(device, dtype=torch.float16):
            with pytest.raises(RuntimeError, match="are unsafe to autocast"):
                nn.BCELoss()(z, y)
            assert functional.binary_cross_entropy_with_logits(z, y).dtype == torch.float32
            with torch.autocast(device, enabled=False):
                assert functional.binary_cross_entropy(z, y).dtype == torch.float32


def _clashes(device: str) -> dict[str, str]:
    whole = torch.zeros(2, dtype=torch.long, device=device)
    single = torch.zeros(4, 2, device=device)
    layer = nn.Linear(2, 2).to(device)

    def put(half):
        single[whole] = half

    clashes = {
        "index put": put,
        "index_add_": lambda half: single.index_add_(0, whole, half),
        "scatter_": lambda half: single.scatter_(0, whole[:, None].expand(2, 2), half),
        "index_copy_": lambda half: single.index_copy_(0, whole, half),
        "addmm_ in place": lambda half: single[:2].addmm_(half, half),
        "float64": lambda half: torch.ones(2, 2, dtype=torch.float64, device=device) @ half,
        "out=": lambda half: torch.mm(half, torch.ones(2, 2, device=device), out=single[:2]),
    }
    messages = {}
    with torch.autocast(device, dtype=torch.float16):
        half = layer(torch.ones(2, 2, device=device)).detach()
        for name, clash in clashes.items():
            with pytest.raises(RuntimeError) as caught:
                clash(half)
            messages[name] = str(caught.value)
    return messages


def check_tensors_of_two_dtypes_clash():
    for device in DEVICES:
        messages = _clashes(device)
        assert "Index put requires the source and destination dtypes match" in messages["index put"]
        assert "must have the same scalar type" in messages["index_add_"]
        assert "Expected self.dtype to be equal to src.dtype" in messages["scatter_"]


def check_two_dtypes_in_nested_contexts_meet_at_a_cached_weight():
    for device in DEVICES:
        layer = nn.Linear(2, 2).to(device)
        x = torch.ones(1, 2, device=device)
        with torch.autocast(device, dtype=torch.float16):
            layer(x)
            with torch.autocast(device, dtype=torch.bfloat16), pytest.raises(RuntimeError, match=r"BFloat16|c10::Half"):
                layer(x)


def check_float16_overflows():
    for device in DEVICES:
        big = torch.full((2, 2), 300.0, device=device)
        with torch.autocast(device, dtype=torch.float16):
            assert torch.isinf(big @ big).all()
        with torch.autocast(device, dtype=torch.bfloat16):
            assert torch.isfinite(big @ big).all()


def check_float64_and_whole_numbers_are_left_alone():
    for device in DEVICES:
        with torch.autocast(device, dtype=torch.float16):
            assert torch.ones(2, dtype=torch.float64, device=device).exp().dtype == torch.float64
            assert torch.ones(2, dtype=torch.long, device=device).sum().dtype == torch.long


def check_custom_functions_follow_their_decorators():
    class Product(torch.autograd.Function):
        @staticmethod
        @torch.amp.custom_fwd(device_type="cuda")
        def forward(ctx, a, b):
            ctx.save_for_backward(a, b)
            return a @ b

        @staticmethod
        @torch.amp.custom_bwd(device_type="cuda")
        def backward(ctx, grad):
            a, b = ctx.saved_tensors
            return grad @ b.t(), a.t() @ grad

    a = torch.ones(2, 2, device="cuda", requires_grad=True)
    with torch.autocast("cuda"):
        out = Product.apply(a, a)
    assert out.dtype == torch.float16
    out.float().sum().backward()
    assert a.grad.dtype == torch.float32


def check_autocast_belongs_to_its_thread():
    import threading

    seen = []
    x = torch.ones(2, 2, device="cuda")
    with torch.autocast("cuda"):
        thread = threading.Thread(target=lambda: seen.append((x @ x).dtype))
        thread.start()
        thread.join()
    assert seen == [torch.float32]
