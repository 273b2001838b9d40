"""An operator on meta tensors runs once for equal layouts, and its result is laid out as if it had run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

torch = pytest.importorskip("torch")
repeated_operators = pytest.importorskip("bench.workloads.repeated_operators")


class Ran(torch.utils._python_dispatch.TorchDispatchMode):
    """How often each operator ran."""

    def __init__(self) -> None:
        super().__init__()
        self.times: Counter[str] = Counter()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.times[func.overloadpacket.__name__] += 1
        return func(*args, **(kwargs or {}))


@pytest.fixture
def ran() -> Iterator[Counter[str]]:
    with Ran() as below, repeated_operators.EachOperatorOnce():
        yield below.times


def layout(values: Any) -> tuple[Any, ...]:
    return values.shape, values.stride(), values.dtype, values.device.type


def test_an_operator_runs_again_only_for_another_layout_or_number(ran: Counter[str]) -> None:
    # Given tensors of one layout, and one of another
    first, second = (torch.empty(1, 4, 6, 8, device="meta") for _ in range(2))
    last = first.to(memory_format=torch.channels_last)
    # When each is padded, and one by another width
    widths = [(0, 1, 0, 1), (0, 1, 0, 1), (0, 1, 0, 1), (2, 2, 0, 1)]
    results = [
        torch.nn.functional.pad(values, width)
        for values, width in zip((first, second, last, first), widths, strict=True)
    ]
    # Then three of the four ran, and the second result is a tensor of its own
    assert ran["constant_pad_nd"] == 3
    assert layout(results[0]) == layout(results[1]) != layout(results[2])
    assert results[0].untyped_storage()._cdata != results[1].untyped_storage()._cdata


def test_a_result_is_laid_out_as_torch_lays_it_out() -> None:
    values = torch.empty(2, 4, 6, 8, device="meta").to(memory_format=torch.channels_last)

    def call() -> list[Any]:
        return [values + 1, values > 0, torch.cat([values, values], 1), values.half().sum(1), values.norm(dim=1)]

    expected = [layout(result) for result in call()]
    with repeated_operators.EachOperatorOnce():
        call()
        assert [layout(result) for result in call()] == expected


def test_views_and_what_is_written_in_place_are_those_of_their_argument(ran: Counter[str]) -> None:
    values = torch.empty(4, 6, device="meta")
    for _ in range(2):
        assert values.t().untyped_storage()._cdata == values.untyped_storage()._cdata
        assert values.add_(1) is values
    assert (ran["t"], ran["add_"]) == (2, 2)


def test_a_tensor_in_memory_is_computed_each_time() -> None:
    with repeated_operators.EachOperatorOnce():
        assert [float(torch.tensor(number) + 1) for number in (1.0, 2.0)] == [2.0, 3.0]


def test_a_result_that_is_its_argument_stays_so(ran: Counter[str]) -> None:
    # Given dropout outside training, which returns its input although its schema does not say so
    values = torch.empty(4, 6, device="meta")
    with torch.inference_mode():
        results = [torch.ops.aten.dropout.default(values, 0.5, False) for _ in range(2)]
    assert all(result.untyped_storage()._cdata == values.untyped_storage()._cdata for result in results)
