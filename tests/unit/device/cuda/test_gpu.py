"""How a worker holds a GPU: the size of its context, a limit that can be kept, a sampler that nobody needs yet."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from nvml_driver import NOT_SUPPORTED, PID, UUID, FakeDriver

from bench.core import identity
from bench.core.units import GIB, MIB
from bench.device.base import Context
from bench.errors import DeviceError

torch = pytest.importorskip("torch")
gpu = pytest.importorskip("bench.device.cuda.gpu")
properties = pytest.importorskip("bench.device.cuda.properties")
POOL, CONTEXT = 64 * MIB, 500 * MIB
GPU = torch.device("cuda", 0)


class Card:
    """A CUDA device of 8 GiB as torch tells it; creating its context takes CONTEXT, exercising it POOL."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, driver: FakeDriver) -> None:
        self.driver = driver
        self.fraction: float | None = None
        self.properties = SimpleNamespace(
            name="NVIDIA Test",
            major=8,
            minor=6,
            multi_processor_count=40,
            total_memory=8 * GIB,
            uuid=UUID.removeprefix("GPU-"),
            is_integrated=0,
            clock_rate=1_560_000,
        )
        for name, answer in {
            "get_device_properties": lambda _: self.properties,
            "get_device_name": lambda _: self.properties.name,
            "set_device": lambda _: None,
            "synchronize": lambda *_: None,
            "empty_cache": lambda: None,
            "memory_reserved": lambda _: POOL,
            "mem_get_info": lambda _: (8 * GIB - 2 * GIB, 8 * GIB),
            "set_per_process_memory_fraction": self._cap,
        }.items():
            monkeypatch.setattr(torch.cuda, name, answer)
        #: What others take of the device in the meantime.
        self.others_take = 0

    def _cap(self, fraction: float, _: object) -> None:
        self.fraction = fraction

    def exercise(self, _: object) -> None:
        self.driver.in_use += CONTEXT + POOL + self.others_take


@pytest.fixture
def card(monkeypatch: pytest.MonkeyPatch) -> Card:
    """The card, idle, on a driver that does not list this process."""
    driver = FakeDriver(used_is_in_use=True)
    driver.answers["nvmlDeviceGetUtilizationRates"] = SimpleNamespace(gpu=0, memory=0)
    driver.install(monkeypatch)
    return Card(monkeypatch, driver)


def context_of(held: object) -> Context:
    return held.meter._context


def test_the_context_is_what_nvml_says_of_the_process(card: Card, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.getpid", lambda: PID)
    card.driver.processes = [(PID, CONTEXT + POOL)]

    assert context_of(gpu.Gpu(GPU, None, card.exercise)) == Context(CONTEXT, "NVML process")


def test_a_card_is_told_from_others_of_its_name_by_a_digest_of_its_uuid(card: Card) -> None:
    identity_of = gpu.Gpu(GPU, None, card.exercise).device.identity

    assert identity_of == identity.of(UUID)
    assert UUID.removeprefix("GPU-") not in identity_of


def test_a_card_whose_uuid_torch_does_not_tell_has_no_identity(card: Card) -> None:
    del card.properties.uuid

    assert gpu.Gpu(GPU, None, card.exercise).device.identity is None


def test_where_the_process_is_not_listed_it_is_the_growth_beside_idle_neighbours(card: Card) -> None:
    card.driver.in_use = 900 * MIB  # a screen

    held = gpu.Gpu(GPU, 4 * GIB, card.exercise)

    assert context_of(held) == Context(CONTEXT, "device growth")
    assert card.fraction == pytest.approx((4 * GIB - CONTEXT) / (8 * GIB))


def test_a_growth_beside_a_busy_neighbour_is_not_taken_for_the_context(card: Card) -> None:
    # given a neighbour that works, and takes a GiB while the context is created
    card.driver.in_use, card.others_take = 2 * GIB, GIB
    card.driver.answers["nvmlDeviceGetUtilizationRates"] = SimpleNamespace(gpu=80, memory=3)

    # then the record has no figure but a reason
    context = context_of(gpu.Gpu(GPU, None, card.exercise))
    assert (context.bytes, context.found_by) == (None, None)
    assert context.reason

    # and a limit, which is less the context, is refused with it
    with pytest.raises(DeviceError) as refused:
        gpu.Gpu(GPU, 4 * GIB, card.exercise)
    assert context.reason in str(refused.value)
    assert card.fraction is None


def test_memory_that_shrank_meanwhile_tells_nothing_of_the_context(card: Card) -> None:
    card.driver.in_use, card.others_take = 3 * GIB, -2 * GIB

    assert context_of(gpu.Gpu(GPU, None, card.exercise)).bytes is None


def test_on_integrated_memory_a_limit_is_refused_with_the_reason_and_the_context_unknown(card: Card) -> None:
    # given a Jetson: NVML tells no memory, and what torch sees in use is the host's too
    card.properties.is_integrated = 1
    card.driver.failures["nvmlDeviceGetMemoryInfo"] = NOT_SUPPORTED

    with pytest.raises(DeviceError, match="--vram-limit"):
        gpu.Gpu(GPU, 4 * GIB, card.exercise)
    context = context_of(gpu.Gpu(GPU, None, card.exercise))
    assert (context.bytes, context.found_by) == (None, None)
    assert context.reason


def test_a_card_of_whose_memory_nvml_tells_nothing_has_all_that_is_in_use(card: Card) -> None:
    card.driver.failures["nvmlDeviceGetMemoryInfo"] = NOT_SUPPORTED

    assert context_of(gpu.Gpu(GPU, None, card.exercise)) == Context(2 * GIB - POOL, "device in use")


@pytest.mark.parametrize(
    ("application", "clock_rate", "usual"),
    [
        (True, 1_560_000, (1.98e9, "default application clock")),
        (False, 1_560_000, (1.56e9, "rated boost")),  # kHz
        (False, None, (2.1e9, "highest clock")),
    ],
)
def test_the_usual_clock_is_the_application_s_else_the_rated_boost_else_the_highest(
    card: Card, application: bool, clock_rate: int | None, usual: tuple[float, str]
) -> None:
    card.properties.clock_rate = clock_rate
    if not application:
        card.driver.failures["nvmlDeviceGetDefaultApplicationsClock"] = NOT_SUPPORTED

    settings = gpu.Gpu(GPU, None, card.exercise).settings

    assert (settings.sm_clock_default_hz, settings.sm_clock_default_source) == usual


def test_a_device_that_is_held_has_no_sampler_until_a_case_is_loaded(
    card: Card, monkeypatch: pytest.MonkeyPatch
) -> None:
    # given a record of what is started
    started: list[tuple[str, ...]] = []
    child = SimpleNamespace(send=lambda _: None, kill=lambda _: True)
    monkeypatch.setattr("bench.device.cuda.gpu_watch.Child", lambda command: started.append(command) or child)

    held = gpu.Gpu(GPU, None, card.exercise)
    assert started == []

    # then the first case starts one, for the GPU as NVML found it, and later ones none
    held.watch.prepare()
    held.watch.prepare()
    held.watch.begin()
    assert [command[-2] for command in started] == [UUID]


# What torch tells of a device


@pytest.mark.parametrize(
    ("fields", "address"),
    [
        ({"pci_domain_id": 0, "pci_bus_id": 0x65, "pci_device_id": 0}, "00000000:65:00.0"),
        ({"pci_domain_id": 1, "pci_bus_id": 0xCA, "pci_device_id": 0x1F}, "00000001:CA:1F.0"),
        ({"pci_bus_id": 1}, None),
        ({}, None),
    ],
)
def test_the_pci_address_is_spelled_as_nvml_does(card: Card, fields: dict[str, int], address: str | None) -> None:
    card.properties = SimpleNamespace(**fields)

    assert properties.pci_bus_id(GPU) == address
    assert properties.uuid(GPU) is None
    assert properties.rated_sm_clock_hz(GPU) is None
    assert not properties.is_integrated(GPU)


@pytest.mark.parametrize(
    ("platform", "release", "said"), [("win32", "11", "Windows"), ("linux", "6.6-microsoft-standard-WSL2", "WSL")]
)
def test_where_the_driver_may_spill_the_record_is_marked(
    monkeypatch: pytest.MonkeyPatch, platform: str, release: str, said: str
) -> None:
    monkeypatch.setattr(properties.sys, "platform", platform)
    monkeypatch.setattr(properties.platform, "release", lambda: release)
    assert said in properties.may_spill()
