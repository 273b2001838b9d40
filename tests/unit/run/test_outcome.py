"""What an exception means: out of memory in the words of every library beneath us, or a failure."""

from __future__ import annotations

from typing import get_args

import pytest

from bench.device.base import DeviceState
from bench.record import Failed, OutOfMemory, Phase
from bench.run.outcome import memory_in, of_exception, requested_bytes

CUDA, CPU = DeviceState("cuda", free_bytes=2**34), DeviceState("cpu")
REFUSED = DeviceState("cuda", free_bytes=2**34, refusals=1)

TORCH_CUDA = (
    "CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity of 23.64 GiB of which 1.21 GiB is "
    "free. Including non-PyTorch memory, this process has 22.42 GiB memory in use. Of the allocated memory 20.12 GiB "
    "is allocated by PyTorch, and 1.85 GiB is reserved by PyTorch but unallocated. If reserved but unallocated memory "
    "is large try setting PYTORCH_ALLOC_CONF=expandable_segments:True to avoid fragmentation."
)
TORCH_CUDA_LIMITED = (
    "CUDA out of memory. Tried to allocate 512.00 MiB. GPU 0 has a total capacity of 79.11 GiB of which 70.02 GiB is "
    "free. 8.00 GiB allowed; Of the allocated memory 7.71 GiB is allocated by PyTorch."
)
TORCH_CPU = (
    "[enforce fail at alloc_cpu.cpp:127] err == 0. DefaultCPUAllocator: can't allocate memory: you tried to allocate "
    "33554432 bytes. Error code 12 (Cannot allocate memory)"
)
NO_ENGINE = "GET was unable to find an engine to execute this computation"

DEVICE_TEXTS = {
    "torch": TORCH_CUDA,
    "torch under a limit": TORCH_CUDA_LIMITED,
    "CUDA runtime": "CUDA error: out of memory\nCUDA kernel errors might be reported at some other API call",
    "CUDA driver": "CUDA driver error: out of memory",
    "CUDA runtime's code": "cudaErrorMemoryAllocation: out of memory",
    "CUDA driver's code": "CUDA_ERROR_OUT_OF_MEMORY: out of memory",
    "cuBLAS": "CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`",
    "cuSOLVER": "cusolver error: CUSOLVER_STATUS_ALLOC_FAILED, when calling `cusolverDnCreate(handle)`",
    "cuDNN 8": "cuDNN error: CUDNN_STATUS_ALLOC_FAILED",
    "cuDNN 9": "cuDNN error: CUDNN_STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED",
}
HOST_TEXTS = {
    "torch": TORCH_CPU,
    "torch on Windows": "[enforce fail at alloc_cpu.cpp:121] data. DefaultCPUAllocator: not enough memory: you tried "
    "to allocate 33554432 bytes.",
    "oneDNN's primitive": "could not create a primitive",
    "oneDNN's memory": "could not create a memory object",
    "C++": "std::bad_alloc",
    "fork": "[Errno 12] Cannot allocate memory",
    "mmap": "unable to mmap 334643276 bytes from file </weights.safetensors>: Cannot allocate memory (12)",
    "cuDNN 9": "cuDNN error: CUDNN_STATUS_INTERNAL_ERROR_HOST_ALLOCATION_FAILED",
}
MAYBE_TEXTS = {
    "no engine": NO_ENGINE,
    "no engine, in full": "FIND was unable to find an engine to execute this computation after trying 12 plans.",
    "cuBLAS": "CUDA error: CUBLAS_STATUS_NOT_INITIALIZED when calling `cublasCreate(handle)`",
    "cuDNN not initialised": "cuDNN error: CUDNN_STATUS_NOT_INITIALIZED",
    "cuDNN internal error": "cuDNN error: CUDNN_STATUS_INTERNAL_ERROR",
    "cuDNN 8 not supported": "cuDNN error: CUDNN_STATUS_NOT_SUPPORTED. This error may appear if you passed in a "
    "non-contiguous input.",
    "cuDNN execution": "cuDNN error: CUDNN_STATUS_EXECUTION_FAILED",
}


class OutOfMemoryError(RuntimeError):
    """Stands in for torch.OutOfMemoryError, which is known by its name: torch is not loaded here."""


class AcceleratorOutOfMemoryError(OutOfMemoryError):
    """A child of it."""


def out_of_memory(error: BaseException, state: DeviceState, phase: Phase = "run") -> OutOfMemory:
    outcome = of_exception(error, phase, state)
    assert isinstance(outcome, OutOfMemory)
    return outcome


def failure(error: BaseException, state: DeviceState, phase: Phase = "run") -> Failed:
    outcome = of_exception(error, phase, state)
    assert isinstance(outcome, Failed)
    return outcome


# The device's memory


@pytest.mark.parametrize("text", DEVICE_TEXTS.values(), ids=DEVICE_TEXTS.keys())
def test_a_device_without_memory_is_known_by_its_words(text: str) -> None:
    assert out_of_memory(RuntimeError(text), CUDA).where == "device"


@pytest.mark.parametrize("kind", [OutOfMemoryError, AcceleratorOutOfMemoryError])
def test_a_device_without_memory_is_known_by_its_exception(kind: type[Exception]) -> None:
    assert out_of_memory(kind("in words to come"), CUDA).where == "device"


@pytest.mark.parametrize("text", MAYBE_TEXTS.values(), ids=MAYBE_TEXTS.keys())
def test_an_unclear_error_is_out_of_memory_if_the_allocator_has_refused(text: str) -> None:
    assert out_of_memory(RuntimeError(text), REFUSED).where == "device"


@pytest.mark.parametrize("text", MAYBE_TEXTS.values(), ids=MAYBE_TEXTS.keys())
def test_an_unclear_error_is_a_failure_if_the_allocator_has_refused_nothing(text: str) -> None:
    assert failure(RuntimeError(text), CUDA).exception == "RuntimeError"


def test_an_unclear_error_is_a_failure_on_a_cpu() -> None:
    failure(RuntimeError(NO_ENGINE), DeviceState("cpu", refusals=1))


def test_a_clear_failure_stays_one_whatever_the_allocator_has_refused() -> None:
    failure(ValueError("the latent has 4 channels in place of 16"), REFUSED)


# The host's memory


@pytest.mark.parametrize("state", [CPU, CUDA], ids=["cpu", "cuda"])
@pytest.mark.parametrize("text", HOST_TEXTS.values(), ids=HOST_TEXTS.keys())
def test_a_host_without_memory_is_known_by_its_words(text: str, state: DeviceState) -> None:
    assert out_of_memory(RuntimeError(text), state).where == "host"


@pytest.mark.parametrize("error", [MemoryError(), MemoryError("std::bad_alloc"), OSError(12, "Cannot allocate memory")])
def test_a_host_without_memory_is_known_by_its_exception(error: Exception) -> None:
    assert out_of_memory(error, CPU).where == "host"


@pytest.mark.parametrize("text", HOST_TEXTS.values(), ids=HOST_TEXTS.keys())
def test_the_last_words_of_a_process_may_speak_of_the_hosts_memory(text: str) -> None:
    assert memory_in(f"terminate called after throwing an instance of\n  what():  {text}\nAborted\n") == "host"


@pytest.mark.parametrize("text", ["", "Segmentation fault"])
def test_last_words_on_something_else_do_not(text: str) -> None:
    assert memory_in(text) is None


# What it tells


@pytest.mark.parametrize(
    ("message", "count"),
    [
        (TORCH_CUDA, 2 * 2**30),
        (TORCH_CUDA_LIMITED, 512 * 2**20),
        (TORCH_CPU, 33554432),
        ("CUDA out of memory. Tried to allocate 20.00 KiB.", 20 * 2**10),
        ("CUDA out of memory. Tried to allocate 512 bytes.", 512),
        ("CUDA out of memory. Tried to allocate 1048576.00 GiB.", 2**50),
    ],
)
def test_what_was_asked_for_is_read_from_the_message(message: str, count: int) -> None:
    assert requested_bytes(message) == count


@pytest.mark.parametrize(
    "message",
    [
        "",
        "could not create a primitive",
        "CUDA out of memory. Tried to allocate more than 1EB memory.",
        "CUDA out of memory. Tried to allocate 0 bytes.",
        "CUDA out of memory. Tried to allocate 0.00 MiB.",
    ],
)
def test_a_message_that_does_not_say_what_was_asked_for_gives_none(message: str) -> None:
    assert requested_bytes(message) is None


def test_an_out_of_memory_says_what_was_asked_for_what_was_free_and_the_message() -> None:
    assert out_of_memory(OutOfMemoryError(TORCH_CUDA_LIMITED), CUDA) == OutOfMemory(
        where="device", phase="run", requested_bytes=512 * 2**20, free_bytes=2**34, message=TORCH_CUDA_LIMITED
    )


@pytest.mark.parametrize("phase", get_args(Phase))
def test_every_outcome_says_its_phase(phase: Phase) -> None:
    assert out_of_memory(MemoryError(), CPU, phase).phase == phase
    assert failure(ValueError(), CPU, phase).phase == phase


# Failures


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("mat1 and mat2 shapes cannot be multiplied (1x4 and 16x4)"),
        RuntimeError("CUDA error: device-side assert triggered"),
        RuntimeError("CUDA error: an illegal memory access was encountered"),
        RuntimeError("Expected all tensors to be on the same device"),
        ValueError("out of range"),
        NotImplementedError("\"slow_conv2d_cpu\" not implemented for 'Half'"),
        KeyError("memory"),
        AssertionError(),
        OSError(28, "No space left on device"),
        FileNotFoundError(2, "No such file or directory", "out_of_memory.json"),
    ],
    ids=repr,
)
def test_an_ordinary_exception_is_a_failure_on_either_device(error: Exception) -> None:
    for state in (CPU, CUDA, REFUSED):
        assert failure(error, state).exception == type(error).__name__


def test_a_failure_keeps_its_message_in_one_line() -> None:
    assert failure(ValueError("first\n  second\tthird"), CPU).message == "first second third"


@pytest.mark.parametrize("length", [600, 601, 100_000])
def test_a_long_message_is_shortened(length: int) -> None:
    message = failure(ValueError("x" * length), CPU).message

    assert len(message) == 600
    assert message.endswith("...") == (length > 600)


def test_a_failure_keeps_the_end_of_its_traceback() -> None:
    # given a traceback that is longer than what is kept
    tail = failure(ValueError("x" * 5000 + "\nand here it ends"), CPU).traceback_tail

    # then its end is kept, where the reason stands
    assert tail.endswith("x\nand here it ends\n")
    assert len(tail) == 2000


def test_a_failure_says_where_it_was_raised() -> None:
    def convolve() -> None:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no") as caught:
        convolve()

    assert "in convolve" in failure(caught.value, CPU).traceback_tail


def test_a_text_that_json_can_t_carry_is_kept_as_far_as_it_can_be() -> None:
    outcome = failure(ValueError("half a pair: \udcff"), CPU)

    assert "half a pair: ?" in outcome.message
    assert outcome.model_dump_json()


def test_a_oneDNN_primitive_that_is_not_implemented_is_a_failure() -> None:  # noqa: N802 - its name
    failure(RuntimeError("could not create a primitive descriptor for a matmul primitive"), CPU)


def test_the_last_words_of_a_process_may_speak_of_the_devices_memory() -> None:
    assert memory_in(f"torch.OutOfMemoryError: {TORCH_CUDA}") == "device"


def test_an_unclear_error_is_out_of_memory_where_next_to_nothing_is_free() -> None:
    # What cuBLAS and cuDNN allocate themselves is nothing that torch's allocator could refuse
    full = DeviceState("cuda", free_bytes=2**20)
    assert out_of_memory(RuntimeError("CUDA error: CUBLAS_STATUS_NOT_INITIALIZED"), full).where == "device"
