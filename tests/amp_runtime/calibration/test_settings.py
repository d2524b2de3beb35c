import pytest
import torch

from amp_runtime.calibration.settings import calibration_settings

CPU = torch.device("cpu")


def state():
    return {
        "threads": torch.get_num_threads(),
        "products": torch.get_float32_matmul_precision(),
        "deterministic": torch.are_deterministic_algorithms_enabled(),
        "only warn": torch.is_deterministic_algorithms_warn_only_enabled(),
        "searching": torch.backends.cudnn.benchmark,
        "held": torch.backends.cudnn.deterministic,
        "grad": torch.is_grad_enabled(),
        "autocast": torch.is_autocast_enabled("cpu"),
        "inference": torch.is_inference_mode_enabled(),
        "random": torch.get_rng_state().tolist(),
    }


@pytest.fixture
def unusual():
    torch.set_float32_matmul_precision("high")
    torch.use_deterministic_algorithms(True, warn_only=True)
    yield
    torch.set_float32_matmul_precision("highest")
    torch.use_deterministic_algorithms(False)


@pytest.mark.usefixtures("unusual")
@pytest.mark.parametrize("fails", [False, True])
def test_everything_global_is_as_before(fails):
    before = state()
    try:
        with calibration_settings(CPU, threads=2), torch.autocast("cpu"):
            torch.rand(3)
            if fails:
                raise KeyError
    except KeyError:
        pass
    assert state() == before


@pytest.mark.usefixtures("unusual")
def test_within_it_fp32_is_fp32_and_nothing_is_recorded_for_backward():
    with torch.autocast("cpu"), calibration_settings(CPU, threads=2):
        inside = state()
        assert torch.mm(torch.ones(2, 2), torch.ones(2, 2)).dtype is torch.float32
    assert (inside["threads"], inside["products"], inside["deterministic"]) == (2, "highest", False)
    assert inside["inference"]
    assert inside["searching"]
