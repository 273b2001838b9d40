"""Records every convolution's workspace during a call, with torch's memory history.

The history is turned on before each convolution and off after it, which clears it, so that it contains that convolution
alone. Unlike the allocator's counters it distinguishes output and copied input from the rest, and shows refused
requests. The allocator's peak of requested bytes, reset before each convolution, is the check: unless both agree to the
byte, use neither.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import torch

from bench.device.cuda import history

#: Far more than one convolution makes: each plan that torch tries makes four at most.
_MOST_ENTRIES = 100_000
#: The convolutions that cuDNN runs in image and video VAEs.
AnyConvolution = torch.nn.Conv2d | torch.nn.Conv3d
#: By dimensions of the input.
_CHANNELS_LAST = {4: torch.channels_last, 5: torch.channels_last_3d}
_CURRENT, _PEAK = "requested_bytes.all.current", "requested_bytes.all.peak"


@dataclass(frozen=True, slots=True)
class Observed:
    """One convolution that ran.

    Attributes:
        input, output, filter: shapes.
        channels_last: whether the input's layout was NHWC, as after attention in diffusers, or NDHWC. cuDNN then
            computes in that layout (cudnn_conv_suggest_memory_format in ATen/native/ConvUtils.h).
        requests: from the history; None if the output is not in it.
        counted_peak_bytes: the counterpart of `requests.peak_bytes` from the allocator's counters.
    """

    input: tuple[int, ...]
    output: tuple[int, ...]
    filter: tuple[int, ...]
    channels_last: bool
    requests: history.Requests | None
    counted_peak_bytes: int


@contextmanager
def recording(convolutions: Iterable[AnyConvolution], device: torch.device) -> Iterator[list[Observed]]:
    """Yield a list to which each of these convolutions is added as it runs on a CUDA device.

    Resets the allocator's peaks and memory history.
    """
    recorder = _Recorder(device)
    watched: list[AnyConvolution] = []
    try:
        for convolution in convolutions:
            recorder.watch(convolution)
            watched.append(convolution)
        yield recorder.observed
    finally:
        for convolution in watched:
            del convolution._conv_forward
        _stop()


class _Recorder:
    """Wraps convolutions. They run one after another."""

    def __init__(self, device: torch.device) -> None:
        self.observed: list[Observed] = []
        self._device = device

    def watch(self, convolution: AnyConvolution) -> None:
        """Record the convolution alone: a causal one of a video VAE pads its input first, in its own `forward`."""
        run: Callable[..., torch.Tensor] = convolution._conv_forward

        def recorded(source: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None) -> torch.Tensor:
            before = self._begins()
            output = run(source, weight, bias)
            self._ends(before, source, weight, output)
            return output

        convolution._conv_forward = recorded  # type: ignore[assignment]

    def _begins(self) -> int:
        torch.cuda.reset_peak_memory_stats(self._device)
        before = self._counters()[_CURRENT]
        torch.cuda.memory._record_memory_history("all", context=None, stacks="python", max_entries=_MOST_ENTRIES)
        return before

    def _ends(self, before: int, source: torch.Tensor, weight: torch.Tensor, output: torch.Tensor) -> None:
        entries = torch.cuda.memory._snapshot()["device_traces"][self._device.index]
        peak = self._counters()[_PEAK] - before
        _stop()
        contiguous = source.is_contiguous()
        copy_bytes = 0 if contiguous else source.numel() * source.element_size()
        self.observed.append(
            Observed(
                input=tuple(source.shape),
                output=tuple(output.shape),
                filter=tuple(weight.shape),
                channels_last=not contiguous and source.is_contiguous(memory_format=_CHANNELS_LAST[source.dim()]),
                requests=history.requests(entries, output.untyped_storage().data_ptr(), copy_bytes),
                counted_peak_bytes=peak,
            )
        )

    def _counters(self) -> Mapping[str, int]:
        counters: Mapping[str, int] = torch.cuda.memory_stats(self._device)
        return counters


def _stop() -> None:
    """Turn the history off, which clears it."""
    torch.cuda.memory._record_memory_history(None)
