"""FLOPs by our formulas beside those that PyTorch's own counter finds in the very calls that are timed."""

import pytest
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from amp_runtime.calibration.formats import FORMATS
from amp_runtime.calibration.operations import OPERATIONS, cases_of
from amp_runtime.calibration.operations.attention import Attention
from amp_runtime.calibration.operations.attention import case as attention
from amp_runtime.calibration.operations.contract import Scale
from amp_runtime.calibration.operations.conv2d import Convolution
from amp_runtime.calibration.operations.conv2d import case as convolution
from amp_runtime.calibration.operations.elementwise import case as elementwise
from amp_runtime.calibration.operations.matmul import case as matmul
from amp_runtime.calibration.operations.memory import case as memory
from amp_runtime.calibration.operations.normalisation import batch_norm, layer_norm, softmax

CPU = torch.device("cpu")


def counted(case):
    prepared = case.prepare(FORMATS["fp32"], CPU)
    # The fused attention of CPUs is one operator that the counter does not know; its parts are known.
    with FlopCounterMode(display=False) as counter, sdpa_kernel(SDPBackend.MATH):
        prepared.call()
    return counter.get_total_flops()


@pytest.mark.parametrize("shape", [(8, 8, 8), (4, 32, 16), (1, 3, 2)])
def test_products_are_counted_as_pytorch_counts_them(shape):
    case = matmul(*shape)
    assert case.flops == counted(case)


@pytest.mark.parametrize("kernel", [1, 3])
def test_convolutions_are_counted_as_pytorch_counts_them(kernel):
    case = convolution(Convolution(images=2, channels=3, filters=5, side=8, kernel=kernel))
    assert case.flops == counted(case)


def test_attention_is_counted_as_pytorch_counts_it():
    shape = Attention(batch=2, heads=3, length=16, width=8, causal=False)
    assert shape.flops == counted(attention(shape))


def test_a_causal_mask_leaves_the_pairs_on_and_below_the_diagonal():
    causal = Attention(batch=1, heads=1, length=16, width=8, causal=True)
    mask = torch.ones(16, 16).tril()
    assert causal.flops == 4 * 8 * int(mask.sum())
    # PyTorch's counter takes no account of the mask.
    assert counted(attention(causal)) == 4 * 8 * 16 * 16


@pytest.mark.parametrize(
    ("case", "bytes_of_fp32", "bytes_of_bf16"),
    [
        (matmul(2, 3, 5), 4 * (6 + 15 + 10), 2 * (6 + 15 + 10)),
        (elementwise("add", 10), 120, 60),
        (elementwise("gelu", 10), 80, 40),
        (elementwise("mul_add", 10), 160, 80),
        (softmax(3, 4), 96, 48),
        (batch_norm(2, 3, 4), 8 * 96, 4 * 96),
        (memory("copy", 10), 80, 40),
        (memory("triad", 10), 120, 60),
    ],
    ids=lambda value: getattr(value, "label", None),
)
def test_bytes_are_those_of_operands_and_results(case, bytes_of_fp32, bytes_of_bf16):
    assert case.bytes_moved(FORMATS["fp32"]) == bytes_of_fp32
    assert case.bytes_moved(FORMATS["bf16"]) == bytes_of_bf16


def test_products_of_eight_bits_have_wider_results():
    case = matmul(2, 3, 5)
    assert case.bytes_moved(FORMATS["int8"]) == 6 + 15 + 4 * 10
    assert case.bytes_moved(FORMATS["fp8_e4m3"]) == 6 + 15 + 2 * 10


CASES = [
    *(elementwise(kind, 1000) for kind in ("add", "relu", "gelu", "mul_add")),
    *(memory(kind, 1000) for kind in ("copy", "triad")),
    softmax(20, 30),
    layer_norm(20, 30),
    batch_norm(2, 3, 5),
    matmul(32, 48, 16),
    convolution(Convolution(images=2, channels=3, filters=5, side=8, kernel=3)),
    attention(Attention(batch=2, heads=2, length=16, width=8, causal=True)),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.operation)
def test_every_call_gives_the_numbers_of_fp64_in_every_format_it_is_defined_for(case):
    for name in case.precisions:
        if name == "tf32":
            continue  # the same call
        got, wanted = (prepared := case.prepare(FORMATS[name], CPU)).sampled(prepared.call())
        error = float((got.double() - wanted).norm() / wanted.norm())
        assert error <= FORMATS[name].tolerance(case.terms), name


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.operation)
def test_wrong_numbers_are_seen(case):
    prepared = case.prepare(FORMATS["fp32"], CPU)
    got, wanted = prepared.sampled(prepared.call() * 1.001)
    assert float((got.double() - wanted).norm() / wanted.norm()) > FORMATS["fp32"].tolerance(case.terms)


@pytest.mark.parametrize("on_gpu", [False, True])
@pytest.mark.parametrize("quick", [False, True])
def test_every_family_has_cases_whose_sizes_do_not_shrink(on_gpu, quick):
    scale = Scale(on_gpu=on_gpu, quick=quick, cache_bytes=2**20)
    for family in OPERATIONS[:-1]:
        assert cases_of((family,), scale)
    squares = cases_of(("matmul",), scale)[:-1]
    assert [case.size for case in squares] == sorted(case.size for case in squares)


def test_arrays_of_the_bandwidth_test_are_four_times_the_cache_unless_memory_is_short():
    def bytes_of_one(free):
        scale = Scale(on_gpu=False, quick=True, cache_bytes=2**20, free_bytes=free)
        return cases_of(("memory",), scale)[0].size * 4

    assert bytes_of_one(None) == 4 * 2**20
    assert bytes_of_one(8 * 2**20) == 2**20
