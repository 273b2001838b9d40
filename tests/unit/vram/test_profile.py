"""What a timeline shows: of a small one made by hand, every figure worked out beside it."""

from __future__ import annotations

import pytest
from timelines import INPUT, WEIGHTS, a_timeline, owner

from bench.vram import call_profile
from bench.vram.timeline import Builder, Owner, Timeline


def test_the_peak_is_the_first_change_after_which_the_most_is_alive() -> None:
    # Given weights 60 + 40, input 10, then 30, 50 (workspace 50 freed), 20, ... (see `timelines`)
    profile = call_profile.profile(a_timeline())
    # Then before the call 110 are alive, and the peak is 110 + 30 + 200 + 50 + 80 = 470
    assert profile.before_bytes == 110
    assert profile.peak_bytes == 470
    # And it is reached when the convolution of up_blocks.0 takes its workspace, the 7th change from 0
    assert profile.peak_at == 6
    assert profile.at == owner("decoder.up_blocks.0.conv", "convolution", "workspace")


def test_what_is_alive_at_the_peak_adds_up_by_kind() -> None:
    profile = call_profile.profile(a_timeline())
    assert profile.kinds == {"weights": 100, "input": 10, "activation": 30 + 200 + 50, "workspace": 80}
    assert sum(profile.kinds.values()) == profile.peak_bytes


def test_the_largest_come_first_and_all_weights_are_one() -> None:
    largest = call_profile.profile(a_timeline()).largest
    assert [held.bytes for held in largest] == [200, 100, 80, 50, 30, 10]
    assert largest[1] == call_profile.Held(100, WEIGHTS, 2)
    assert largest[-1] == call_profile.Held(10, INPUT)


def test_no_more_than_ten_are_shown() -> None:
    builder = Builder()
    builder.call_begins()
    for size in range(1, 13):
        builder.allocate(size, owner("decoder.conv_in", "convolution"))
    assert [held.bytes for held in call_profile.profile(builder.done()).largest] == list(range(12, 2, -1))


def test_a_stage_has_the_most_that_is_alive_while_it_is_at_work_and_frees_are_of_who_allocated_last() -> None:
    stages = call_profile.profile(a_timeline()).stages
    # conv_in: 110 + 30; up_blocks.0: the peak; conv_out: 110 + 50 + 20, the others freed
    assert [(stage.name, stage.peak_bytes) for stage in stages] == [
        ("decoder.conv_in", 140),
        ("decoder.up_blocks.0", 470),
        ("decoder.conv_out", 180),
    ]


@pytest.mark.parametrize(
    ("module", "stage"),
    [
        ("decoder.up_blocks.3.resnets.0.conv1", "decoder.up_blocks.3"),
        ("encoder.down_blocks.0", "encoder.down_blocks.0"),
        ("decoder.mid_block.attentions.0.to_q", "decoder.mid_block"),
        ("decoder.conv_out", "decoder.conv_out"),
        ("post_quant_conv", "post_quant_conv"),
        ("", call_profile.ITSELF),
    ],
)
def test_a_module_is_of_the_part_of_the_model_that_it_is_in(module: str, stage: str) -> None:
    assert call_profile.stage_of(module) == stage


def test_layers_add_up_to_what_is_alive_with_weights_below_and_workspaces_on_top() -> None:
    timeline = a_timeline()
    layers = call_profile.layers(timeline)
    assert layers.names == (
        *("weights", "input", "decoder.conv_in", "decoder.up_blocks.0", "decoder.conv_out", "workspaces"),
    )
    assert layers.at == tuple(range(len(timeline.changes) - timeline.before + 1))
    totals = [sum(counts) for counts in zip(*layers.live, strict=True)]
    assert totals == call_profile.live_bytes_of_call(timeline)


def test_of_more_groups_than_are_drawn_the_least_are_one() -> None:
    # Given ten parts that reach 1, 2, ... 10 bytes at once
    builder = Builder()
    builder.call_begins()
    for part in range(10):
        builder.allocate(part + 1, owner(f"decoder.up_blocks.{part}.conv", "convolution"))
    layers = call_profile.layers(builder.done())
    # Then the six that reach most have a layer each, and 1 + 2 + 3 + 4 bytes are the others'
    assert layers.names == (*(f"decoder.up_blocks.{part}" for part in range(4, 10)), call_profile.OTHER)
    assert layers.live[-1][-1] == 10


def test_fewer_columns_than_changes_lose_no_peak() -> None:
    # Given 100 allocations of 1 byte, each freed at once, and one of 7 among them
    builder = Builder()
    builder.call_begins()
    for number in range(100):
        builder.free(builder.allocate(7 if number == 42 else 1, owner("decoder.conv_in", "add")))
    layers = call_profile.layers(builder.done(), columns=10)
    # Then of each column the most is shown
    assert len(layers.at) <= 12
    assert max(layers.live[0]) == 7


def test_changes_of_some_size_are_counted_along_the_call() -> None:
    # sizes of the call's changes: +30 +200 +50 +80 -80 -200 -30 +20
    assert call_profile.steps(a_timeline(), 50) == [0, 0, 1, 2, 3, 4, 5, 5, 5]


def _calls(*modules: str) -> Timeline:
    builder = Builder()
    builder.call_begins()
    for module in modules:
        builder.allocate(1, owner(module, "add"))
    return builder.done()


def test_two_timelines_are_laid_over_each_other_where_they_enter_the_same_module() -> None:
    # Given one that sees two allocations in b, and another that sees one and a module more
    mine, other = _calls("a", "b", "b", "c", "d"), _calls("a", "b", "x", "c", "d")
    # Then a to a, b to b, c to c (change 3 of both), and the second of b half way between b and c
    assert call_profile.aligned_positions(mine, other) == [0, 1, 2, 3, 4, 5]
    # And one that is laid over itself is where it is
    assert call_profile.aligned_positions(mine, mine) == [0, 1, 2, 3, 4, 5]


def test_a_timeline_with_more_changes_is_stretched_between_the_modules() -> None:
    # a begins at 0 in both; b at 4 in one and at 2 in the other; the ends are 6 and 3
    mine, other = _calls("a", "a", "a", "a", "b", "b"), _calls("a", "a", "b")
    assert call_profile.aligned_positions(mine, other) == [0, 0.5, 1, 1.5, 2, 2.5, 3]


def test_what_nothing_answers_to_is_passed_over() -> None:
    mine, other = _calls(*(f"x{n}" for n in range(20)), "b"), _calls("y", "b")
    found = call_profile.aligned_positions(mine, other)
    assert (found[0], found[-1]) == (0, 2)
    assert found == sorted(found)


def test_who_is_at_work_is_who_allocated_last() -> None:
    found = call_profile.at_work(a_timeline())
    assert found[:3] == [WEIGHTS, WEIGHTS, INPUT]
    assert found[-2] == owner("decoder.up_blocks.0.conv", "convolution", "workspace")  # a free
    assert found[-1].module == "decoder.conv_out"


def test_two_peaks_within_two_per_cent_agree() -> None:
    from factories import a_case

    def peak(size: int) -> call_profile.Profile:
        builder = Builder()
        builder.allocate(size, Owner("", "", "weights"))
        builder.call_begins()
        return call_profile.profile(builder.done())

    assert call_profile.Profiled(a_case(), "cpu", "", peak(102), peak(100)).agree is True
    assert call_profile.Profiled(a_case(), "cpu", "", peak(103), peak(100)).agree is False
    assert call_profile.Profiled(a_case(), "cpu", "", peak(103)).agree is None
