"""The emulated device as a program written for CUDA meets it."""

from __future__ import annotations

import copy
import io
import pickle
import warnings

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from amp_runtime.emulation import emulate, is_emulating


def check_a_second_call_changes_nothing():
    emulate()
    assert is_emulating()


def check_one_device_is_there():
    assert torch.cuda.is_available()
    assert torch.cuda.device_count() == 1
    assert torch.cuda.current_device() == 0
    assert torch.cuda.is_bf16_supported()
    assert torch.cuda.get_device_properties(0).name == torch.cuda.get_device_name() == "CUDA emulated on the CPU"
    assert torch.cuda.get_device_capability() >= (8, 0)
    assert torch.accelerator.current_accelerator() == torch.device("cuda")
    torch.cuda.set_device("cuda:0")
    with pytest.raises(RuntimeError, match="invalid device ordinal: 1"):
        torch.cuda.set_device(1)
    with torch.cuda.device(0):
        assert torch.cuda.current_device() == 0


def check_tensors_say_that_they_are_on_cuda():
    x = torch.ones(2)
    moved = [
        x.cuda(),
        x.cuda(0),
        x.to("cuda"),
        x.to("cuda:0", non_blocking=True),
        x.to(torch.device("cuda")),
        x.pin_memory().cuda(),
    ]
    made = [
        torch.zeros(2, device="cuda"),
        torch.tensor([1.0], device="cuda"),
        torch.arange(2, device="cuda:0"),
        moved[0].new_ones(2),
    ]
    for tensor in [*moved, *made, torch.rand_like(moved[0])]:
        assert type(tensor) is torch.Tensor
        assert tensor.is_cuda
        assert str(tensor.device) == "cuda:0"
    assert moved[0].to("cuda") is moved[0]
    assert moved[0].cpu().tolist() == [1.0, 1.0]
    assert repr(moved[0]) == "tensor([1., 1.], device='cuda:0')"


def check_the_default_device_can_be_cuda():
    with torch.device("cuda"):
        assert nn.Linear(2, 2).weight.is_cuda
    torch.set_default_device("cuda")
    try:
        assert torch.ones(2).is_cuda
    finally:
        torch.set_default_device(None)


def check_devices_do_not_mix():
    x, y = torch.ones(2, 2, device="cuda"), torch.ones(2, 2)
    for clash in (
        lambda: x + y,
        lambda: x @ y,
        lambda: torch.cat([x, y]),
        lambda: nn.functional.embedding(torch.zeros(1, dtype=torch.long), x),
    ):
        with pytest.raises(RuntimeError, match="Expected all tensors to be on the same device"):
            clash()
    with pytest.raises(TypeError, match="can't convert cuda:0 device type tensor to numpy"):
        x.numpy()
    assert (x + torch.tensor(1.0)).is_cuda  # a single number may come from the CPU
    assert x[torch.tensor([0])].is_cuda  # and so may indices
    y.copy_(x * 2)
    assert y.tolist() == [[2.0, 2.0], [2.0, 2.0]]


def check_views_share_memory_and_versions():
    x = torch.zeros(4, device="cuda")
    x.view(2, 2)[1].fill_(5.0)
    assert x.tolist() == [0.0, 0.0, 5.0, 5.0]
    assert x[2:].untyped_storage().data_ptr() == x.untyped_storage().data_ptr()
    weight = torch.ones(2, device="cuda", requires_grad=True)
    square = (weight * 1.0).pow(2)
    saved = weight * 1.0
    out = saved.pow(2).sum() + square.sum()
    saved.add_(1.0)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        out.backward()


def check_tensors_can_grow():
    x = torch.arange(3.0, device="cuda")
    x.resize_(5)
    assert x[:3].tolist() == [0.0, 1.0, 2.0]
    out = torch.empty(0, device="cuda")
    torch.add(x[:3], 1.0, out=out)
    assert out.tolist() == [1.0, 2.0, 3.0]


def check_modules_move_and_keep_their_parameters():
    net = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))
    before = list(net.parameters())
    net.cuda()
    assert all(
        old is new and type(new) is nn.Parameter and new.is_cuda
        for old, new in zip(before, net.parameters(), strict=True)
    )
    assert all(buffer.is_cuda for buffer in net.buffers())
    assert all(parameter.is_cuda for parameter in copy.deepcopy(net).parameters())
    assert not any(parameter.is_cuda for parameter in net.cpu().parameters())


def check_checkpoints_say_where_tensors_were():
    state = {"weight": torch.ones(2, device="cuda"), "half": torch.ones(2, device="cuda").half()}
    file = io.BytesIO()
    torch.save(state, file)
    for location, device in (
        (None, "cuda:0"),
        ("cuda", "cuda:0"),
        ("cpu", "cpu"),
        (lambda storage, name: storage, "cpu"),
    ):
        file.seek(0)
        loaded = torch.load(file, map_location=location)
        assert {str(tensor.device) for tensor in loaded.values()} == {device}
        assert loaded["half"].tolist() == [1.0, 1.0]
    assert pickle.loads(pickle.dumps(state["weight"])).is_cuda


def check_random_numbers_have_a_generator_of_their_own():
    torch.manual_seed(3)
    first = torch.randn(3, device="cuda")
    state = torch.cuda.get_rng_state()
    second = nn.functional.dropout(torch.ones(64, device="cuda"))
    on_cpu = torch.rand(1)
    torch.cuda.set_rng_state(state)
    assert torch.equal(nn.functional.dropout(torch.ones(64, device="cuda")), second)
    torch.manual_seed(3)
    assert torch.equal(torch.rand(1), on_cpu)  # what the device draws does not move the CPU's numbers
    assert torch.equal(torch.randn(3, device="cuda"), first)
    generator = torch.Generator(device="cuda").manual_seed(3)
    assert torch.equal(torch.randn(3, device="cuda", generator=generator), first)


def check_batches_come_from_workers_and_pinned_memory():
    data = TensorDataset(torch.arange(8.0))
    for workers in (0, 2):
        loader = DataLoader(data, batch_size=4, num_workers=workers, pin_memory=True)
        seen = [batch.to("cuda", non_blocking=True).sum().item() for (batch,) in loader]
        assert seen == [6.0, 22.0]


def check_streams_and_events_are_there_and_done():
    start, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
    start.record()
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        x = torch.ones(2, device="cuda")
    x.record_stream(side)
    end.record()
    torch.cuda.synchronize()
    assert start.elapsed_time(end) > 0
    with pytest.raises(RuntimeError, match="must be recorded"):
        start.elapsed_time(torch.cuda.Event(enable_timing=True))


def check_memory_figures_are_answered():
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()
    assert torch.cuda.max_memory_allocated() == torch.cuda.memory_allocated() == 0
    assert torch.cuda.mem_get_info()[1] > 2**20
    assert isinstance(torch.cuda.memory_summary(), str)


def check_compiled_models_run_eagerly():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the compiler's own, when it is loaded
        net = torch.compile(nn.Linear(2, 2).cuda())
    with torch.autocast("cuda"):
        assert net(torch.ones(1, 2, device="cuda")).dtype == torch.float16


def check_half_precision_kernels_that_only_cuda_has():
    half = torch.rand(1, 1, 4, 4, 4, device="cuda", dtype=torch.float16, requires_grad=True)
    out = nn.functional.avg_pool3d(half, 2)
    out.float().sum().backward()
    assert out.dtype == half.grad.dtype == torch.float16
    with pytest.raises(RuntimeError, match="'Half'"):
        torch.linalg.qr(torch.ones(2, 2, device="cuda", dtype=torch.float16))  # CUDA has none either
    with pytest.warns(UserWarning, match="ComplexHalf support is experimental"):
        assert torch.fft.rfft(torch.ones(8, device="cuda", dtype=torch.float16)).dtype == torch.complex32
    with pytest.raises(RuntimeError, match="powers of two"):
        torch.fft.rfft(torch.ones(10, device="cuda", dtype=torch.float16))


def check_complex_views_keep_their_values():
    x = torch.tensor([1 + 2j], device="cuda")
    assert (x.conj() * 1).tolist() == [1 - 2j]
    assert x.conj().imag.cpu().tolist() == [-2.0]


def check_packed_sequences_keep_their_lengths_on_the_cpu():
    packed = nn.utils.rnn.pack_padded_sequence(torch.ones(3, 2, 4, device="cuda"), torch.tensor([3, 1]))
    assert packed.data.is_cuda
    assert not packed.batch_sizes.is_cuda
    out, lengths = nn.utils.rnn.pad_packed_sequence(nn.LSTM(4, 4).cuda()(packed)[0])
    assert out.shape == (3, 2, 4)
    assert lengths.tolist() == [3, 1]


def check_cudnn_stays_off():
    torch.backends.cudnn.enabled = True
    torch.backends.cudnn.benchmark = True
    with torch.backends.cudnn.flags(enabled=True, benchmark=True):
        assert not torch.backends.cudnn.enabled
        assert nn.LSTM(4, 4).cuda()(torch.ones(3, 1, 4, device="cuda"))[0].is_cuda


def check_types_of_old_make_tensors_on_the_device():
    made = torch.cuda.FloatTensor(2, 3)
    assert (made.shape, made.dtype, made.is_cuda) == ((2, 3), torch.float32, True)
    assert torch.cuda.LongTensor([1, 2]).tolist() == [1, 2]
    assert torch.cuda.ByteTensor().numel() == 0
    assert torch.cuda.HalfTensor(torch.Size([4])).shape == (4,)
    assert torch.ones(2).type(torch.cuda.HalfTensor).type() == "torch.cuda.HalfTensor"
    assert torch.ones(2).type("torch.cuda.DoubleTensor").dtype == torch.float64
    assert torch.ones(2).type() == "torch.FloatTensor"
    assert torch.ones(2).type(torch.float16).dtype == torch.float16
    assert isinstance(made, torch.cuda.FloatTensor)
    assert not isinstance(made.cpu(), torch.cuda.FloatTensor)
    try:
        torch.set_default_tensor_type("torch.cuda.FloatTensor")
        assert torch.ones(2).is_cuda
    finally:
        torch.set_default_device(None)


def check_attention_runs_whichever_kernel_is_asked_for():
    from torch.nn.attention import SDPBackend, sdpa_kernel

    q = torch.randn(1, 2, 8, 16, device="cuda", dtype=torch.float16, requires_grad=True)
    for backend in (SDPBackend.FLASH_ATTENTION, SDPBackend.EFFICIENT_ATTENTION, SDPBackend.MATH):
        with sdpa_kernel(backend):
            out = nn.functional.scaled_dot_product_attention(q, q, q, is_causal=True)
        out.float().sum().backward()
        assert out.dtype == q.grad.dtype == torch.float16


def check_products_can_name_the_dtype_of_their_result():
    half = torch.full((1, 2, 2), 300.0, device="cuda", dtype=torch.float16)
    assert torch.isinf(half[0] @ half[0]).all()
    assert (torch.mm(half[0], half[0], out_dtype=torch.float32) == 180000.0).all()
    assert (torch.baddbmm(half, half, half, out_dtype=torch.float32, beta=2) == 180600.0).all()


def check_the_backward_pass_of_rms_norm_is_right():
    x, grad = torch.randn(3, 4, dtype=torch.float64), torch.randn(3, 4, dtype=torch.float64)
    weight = torch.rand(4, dtype=torch.float64).requires_grad_()
    x.requires_grad_()
    wanted = torch.autograd.grad((nn.functional.rms_norm(x, (4,), weight, 1e-5) * grad).sum(), (x, weight))
    rstd = (x.detach().pow(2).mean(-1, keepdim=True) + 1e-5).rsqrt()
    inputs = [each.detach().float().cuda() for each in (grad, x, rstd, weight)]
    found = torch.ops.aten._fused_rms_norm_backward(*inputs[:2], [4], *inputs[2:], [True, True])
    for one, other in zip(found, wanted, strict=True):
        torch.testing.assert_close(one.cpu(), other.float(), rtol=1e-4, atol=1e-5)


def check_there_is_no_second_device():
    for make in (
        lambda: torch.ones(2).cuda(1),
        lambda: torch.ones(2, device="cuda:1"),
        lambda: nn.Linear(2, 2).to("cuda:1"),
    ):
        with pytest.raises(RuntimeError, match="invalid device ordinal: cuda:1"):
            make()


def check_data_parallel_runs_on_the_one_device():
    net = nn.DataParallel(nn.Linear(2, 2)).cuda()
    net(torch.ones(3, 2)).sum().backward()
    assert net.module.weight.grad.is_cuda


def check_profilers_see_the_cpu():
    from torch.profiler import ProfilerActivity, profile

    with torch.cuda.nvtx.range("forward"), profile(activities=[ProfilerActivity.CPU, ProfilerActivity.CUDA]) as seen:
        torch.ones(2, device="cuda").mul(2)
    assert "aten::mul" in {event.key for event in seen.key_averages()}


def check_every_optimizer_steps():
    for kind in (torch.optim.SGD, torch.optim.RMSprop, torch.optim.Adagrad, torch.optim.NAdam, torch.optim.Adafactor):
        net = nn.Linear(2, 2).cuda()
        before = net.weight.detach().clone()
        optimizer = kind(net.parameters())
        net(torch.ones(1, 2, device="cuda")).sum().backward()
        optimizer.step()
        optimizer.load_state_dict(optimizer.state_dict())
        assert not torch.equal(net.weight, before), kind


def check_scripted_functions_run():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # TorchScript is deprecated, and still in use

        @torch.jit.script
        def gate(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
            return x * torch.sigmoid(y)

    x = torch.ones(2, 2, device="cuda", requires_grad=True)
    for _ in range(4):  # the third call runs what was optimised after two
        gate(x @ x, x @ x).sum().backward()
    assert torch.isfinite(x.grad).all()


def check_transforms_of_functions_work():
    x = torch.arange(1.0, 4.0, device="cuda")
    assert torch.func.grad(lambda a: (a**3).sum())(x).tolist() == [3.0, 12.0, 27.0]
    assert torch.func.vmap(lambda a: a * a)(x).tolist() == [1.0, 4.0, 9.0]


def check_operators_of_other_libraries_run_their_cpu_kernel():
    library = torch.library.Library("emulation_checks", "FRAGMENT")
    library.define("doubled(Tensor x) -> Tensor")
    library.impl("doubled", lambda x: x * 2, "CPU")
    doubled = torch.ops.emulation_checks.doubled(torch.ones(2, device="cuda"))
    assert doubled.is_cuda
    assert doubled.tolist() == [2.0, 2.0]


def check_pinned_memory_can_be_asked_for():
    pinned = torch.empty(2, pin_memory=True).fill_(3.0)
    assert pinned.cuda(non_blocking=True).tolist() == [3.0, 3.0]
    assert torch.tensor([1.0], pin_memory=True).pin_memory().tolist() == [1.0]
