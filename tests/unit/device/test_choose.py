"""`--device` in the worker: what is taken, and which of driver, build and device is said to be missing."""

from __future__ import annotations

import pytest

from bench.errors import DeviceError

torch = pytest.importorskip("torch")
devices = pytest.importorskip("bench.device.choose")


@pytest.fixture
def cuda_build(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """A CUDA build of torch on a machine whose driver works, with two devices."""
    monkeypatch.setattr(torch.version, "cuda", "13.0")
    monkeypatch.setattr(torch.version, "hip", None)
    monkeypatch.setattr(torch.cuda, "init", lambda: None)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(devices.nvml, "driver_state", lambda: None)
    return monkeypatch


def _fails(text: str, kind: type[Exception] = RuntimeError) -> object:
    def init() -> None:
        raise kind(text)

    return init


def test_cpu_is_taken_as_it_is() -> None:
    choice = devices.choose("cpu")
    assert (choice.device, choice.note) == (torch.device("cpu"), None)
    assert choice.reason


@pytest.mark.parametrize(("wanted", "index"), [("auto", 0), ("cuda", 0), ("CUDA:1", 1)])
def test_a_cuda_device_is_taken_where_there_is_one(cuda_build: pytest.MonkeyPatch, wanted: str, index: int) -> None:
    assert devices.choose(wanted) == devices.Choice(torch.device("cuda", index))


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        ("cuda:2", "cuda:1"),
        ("cuda:x", "Valid: auto, cpu, cuda or cuda:N"),
        ("gpu", "Valid: auto, cpu, cuda or cuda:N"),
        ("mps", "MPS"),
        ("mps:0", "MPS"),
        ("rocm", "ROCm"),
        ("xpu", "XPU"),
    ],
)
def test_what_is_no_device_or_would_give_wrong_figures_is_refused(
    cuda_build: pytest.MonkeyPatch, wanted: str, said: str
) -> None:
    with pytest.raises(DeviceError) as refused:
        devices.choose(wanted)
    assert said in str(refused.value)


def test_a_cpu_only_build_is_said_to_be_one(cuda_build: pytest.MonkeyPatch) -> None:
    cuda_build.setattr(torch.version, "cuda", None)
    with pytest.raises(DeviceError, match="CPU-only build"):
        devices.choose("cuda")


def test_a_missing_driver_is_said_in_nvml_s_words(cuda_build: pytest.MonkeyPatch) -> None:
    cuda_build.setattr(torch.cuda, "init", _fails("Found no NVIDIA driver on your system."))
    cuda_build.setattr(devices.nvml, "driver_state", lambda: "NVML Shared Library Not Found")
    with pytest.raises(DeviceError, match="NVML Shared Library Not Found"):
        devices.choose("cuda")


def test_a_driver_and_library_mismatch_is_said_with_the_remedy(cuda_build: pytest.MonkeyPatch) -> None:
    cuda_build.setattr(torch.cuda, "init", _fails("unknown error"))
    cuda_build.setattr(devices.nvml, "driver_state", lambda: "Driver/library version mismatch")
    with pytest.raises(DeviceError, match=r"mismatch.*Reboot"):
        devices.choose("cuda")


def test_a_driver_too_old_for_torch_is_said_with_the_remedy(cuda_build: pytest.MonkeyPatch) -> None:
    cuda_build.setattr(torch.cuda, "init", _fails("The NVIDIA driver on your system is too old (found version 11040)."))
    with pytest.raises(DeviceError, match=r"too old.*[Uu]pdate the driver"):
        devices.choose("cuda")


def test_no_device_with_a_working_driver_points_at_cuda_visible_devices(cuda_build: pytest.MonkeyPatch) -> None:
    cuda_build.setattr(torch.cuda, "device_count", lambda: 0)
    with pytest.raises(DeviceError, match="CUDA_VISIBLE_DEVICES"):
        devices.choose("cuda")


def test_auto_without_cuda_is_the_cpu_and_says_so_if_a_gpu_stands_idle(cuda_build: pytest.MonkeyPatch) -> None:
    cuda_build.setattr(torch.version, "cuda", None)
    choice = devices.choose("auto")
    assert choice.device == torch.device("cpu")
    assert "NVIDIA GPU" in (choice.note or "")
    assert "CPU-only build" in (choice.reason or "")
    # And without a GPU there is nothing to note
    cuda_build.setattr(devices.nvml, "driver_state", lambda: "NVML Shared Library Not Found")
    assert devices.choose("auto").note is None


@pytest.mark.parametrize("wanted", ["auto", "cuda"])
def test_a_rocm_build_is_refused_rather_than_measured(cuda_build: pytest.MonkeyPatch, wanted: str) -> None:
    cuda_build.setattr(torch.version, "hip", "7.0")
    cuda_build.setattr(torch.cuda, "is_available", lambda: True)
    with pytest.raises(DeviceError, match="ROCm"):
        devices.choose(wanted)


@pytest.mark.parametrize("name", ["DeferredCudaCallError", "AcceleratorError"])
def test_whatever_initialising_raises_is_a_reason_without_its_stack(cuda_build: pytest.MonkeyPatch, name: str) -> None:
    kind = getattr(torch.cuda, name, RuntimeError)  # older versions have no AcceleratorError
    text = "CUDA call failed lazily\n\nCUDA call was originally invoked at:\n\n  File here"
    cuda_build.setattr(torch.cuda, "init", _fails(text, kind))
    assert devices.choose("auto").device == torch.device("cpu")
    with pytest.raises(DeviceError) as refused:
        devices.choose("cuda")
    assert "CUDA call failed lazily." in str(refused.value)
    assert "invoked at" not in str(refused.value)


def test_a_stand_in_is_told_by_its_mark(monkeypatch: pytest.MonkeyPatch) -> None:
    assert devices.stand_in() is None
    monkeypatch.setattr(torch.cuda, "stand_in", "a test", raising=False)
    assert devices.stand_in() == "a test"


def test_only_a_command_that_can_measure_the_cpu_is_told_to(cuda_build: pytest.MonkeyPatch) -> None:
    cuda_build.setattr(torch.version, "cuda", None)
    with pytest.raises(DeviceError) as refused:
        devices.choose("cuda")
    assert str(refused.value).endswith(devices.OR_THE_CPU)
    assert "--device cpu" not in str(refused.value).removesuffix(devices.OR_THE_CPU)
    assert "--device cpu" not in (devices.choose("auto").reason or "")
