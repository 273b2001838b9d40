"""How convolutions are recorded: a real one on the CPU, behind a fake of CUDA's allocator."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from bench.device.cuda.history import Requests

torch = pytest.importorskip("torch")
workspaces = pytest.importorskip("bench.device.cuda.convolutions")


class Allocator:
    """Tells of an output of 64 bytes at the address that it is given, and of a workspace of 40."""

    def __init__(self) -> None:
        self.output_address = 0
        self.recording = False
        self.switched: list[str | None] = []
        self.peak = 1000 + 64 + 40

    def record(self, enabled: str | None, **settings: object) -> None:
        self.switched.append(enabled)
        self.recording = enabled is not None

    def snapshot(self) -> dict[str, object]:
        assert self.recording
        output = {"action": "alloc", "addr": self.output_address, "size": 64}
        return {"device_traces": [[], [output, {"action": "alloc", "addr": 1, "size": 40}]]}

    def stats(self, _device: object) -> dict[str, int]:
        return {"requested_bytes.all.current": 1000, "requested_bytes.all.peak": self.peak}


@pytest.fixture
def allocator(monkeypatch: pytest.MonkeyPatch) -> Iterator[Allocator]:
    fake = Allocator()
    monkeypatch.setattr(torch.cuda, "reset_peak_memory_stats", lambda _: None)
    monkeypatch.setattr(torch.cuda, "memory_stats", fake.stats)
    monkeypatch.setattr(torch.cuda.memory, "_record_memory_history", fake.record)
    monkeypatch.setattr(torch.cuda.memory, "_snapshot", fake.snapshot)
    yield fake
    assert not fake.recording


def a_convolution(allocator: Allocator, kind: type = torch.nn.Conv2d) -> object:
    """A convolution that tells the fake where its output lies, before any recorder asks."""

    class Made(kind):  # type: ignore[misc]
        def _conv_forward(self, *args: object) -> object:
            output = super()._conv_forward(*args)
            allocator.output_address = output.untyped_storage().data_ptr()
            return output

    return Made(2, 4, 3, stride=2)


def test_a_causal_convolution_of_a_video_is_noted_with_its_padded_input(allocator: Allocator) -> None:
    # Given a convolution that pads its frames itself, as those of video VAEs do
    class Causal(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.convolution = a_convolution(allocator, torch.nn.Conv3d)

        def forward(self, video: object) -> object:
            return self.convolution(torch.nn.functional.pad(video, (0, 0, 0, 0, 2, 0)))

    causal = Causal()
    with torch.inference_mode(), workspaces.recording([causal.convolution], torch.device("cuda", 1)) as seen:
        causal(torch.zeros(1, 2, 3, 5, 5))
        causal.convolution(torch.zeros(1, 2, 5, 5, 5).contiguous(memory_format=torch.channels_last_3d))
    # Then the padded frames are its input
    assert [(each.input, each.output, each.filter) for each in seen] == 2 * [
        ((1, 2, 5, 5, 5), (1, 4, 2, 2, 2), (4, 2, 3, 3, 3))
    ]
    assert [each.channels_last for each in seen] == [False, True]


def test_a_convolution_is_noted_with_its_shapes_and_what_it_requested(allocator: Allocator) -> None:
    convolution = a_convolution(allocator)
    with torch.inference_mode(), workspaces.recording([convolution], torch.device("cuda", 1)) as seen:
        convolution(torch.zeros(1, 2, 5, 5))
        convolution(torch.zeros(1, 2, 7, 5).contiguous(memory_format=torch.channels_last))
    first, second = seen
    assert (first.input, first.output, first.filter) == ((1, 2, 5, 5), (1, 4, 2, 2), (4, 2, 3, 3))
    assert first.requests == Requests(40, 104, refused=False)
    assert first.counted_peak_bytes == 104
    assert (first.channels_last, second.channels_last) == (False, True)
    assert allocator.switched == ["all", None, "all", None, None]


def test_afterwards_nothing_is_recorded_any_more(allocator: Allocator) -> None:
    convolution = a_convolution(allocator)
    with torch.inference_mode(), workspaces.recording([convolution], torch.device("cuda", 1)) as seen:
        pass
    convolution(torch.zeros(1, 2, 5, 5))
    assert seen == []


def test_the_history_is_switched_off_though_the_call_fails(allocator: Allocator) -> None:
    convolution = a_convolution(allocator)
    with pytest.raises(RuntimeError), workspaces.recording([convolution], torch.device("cuda", 1)):
        convolution(torch.zeros(1, 3, 5, 5))
    assert allocator.switched == ["all", None]
