"""Of very many devices, those that ran last have answers; cards of gpus.yaml always do."""

from __future__ import annotations

from factories import a_device, a_run, measured, published

from bench.predictions import answered_devices
from bench.record import Record


def ran(name: str, day: int) -> Record:
    return measured(device=a_device(name=name), run=a_run(id=f"{name}-{day}", started_at=f"2026-01-{day:02}"))


def names(records: list[Record], most: int) -> tuple[list[str], int]:
    kept, left_out = answered_devices.of_newest(records, most)
    return [record.device.name for record in kept], left_out


def test_few_devices_are_all_kept() -> None:
    assert names([ran("A", 1), ran("B", 2)], most=2) == (["A", "B"], 0)


def test_the_devices_that_ran_last_are_kept_in_their_order() -> None:
    records = [ran("A", 3), ran("B", 1), ran("C", 2), ran("B", 4)]
    assert names(records, most=2) == (["A", "B", "B"], 1)


def test_a_card_of_the_file_and_published_figures_are_kept_however_old_they_are() -> None:
    card = measured(
        device=a_device(name="NVIDIA GeForce RTX 4090", total_bytes=25_386_477_944), run=a_run(started_at="2020-01-01")
    )
    page = published(device=a_device(name="Other", total_bytes=None))
    kept, left_out = names([card, page, ran("A", 1), ran("B", 2)], most=2)
    assert (kept, left_out) == (["NVIDIA GeForce RTX 4090", "Other", "B"], 1)
