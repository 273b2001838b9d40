"""The page of where the memory of pipelines goes, from the data that come with the program."""

from __future__ import annotations

import pytest

from bench.analysis.pipelines import choice
from bench.analysis.pipelines.memory_map import MemoryMap
from bench.core.units import ITEM_BYTES
from bench.predictions import pipelines
from bench.report.document import Document, Section
from bench.report.pages import memory_by_stage_page as page
from bench.report.plots import pipeline_memory_plot
from bench.report.render import markdown
from bench.workloads import models


@pytest.fixture(scope="module")
def memory() -> MemoryMap:
    return pipelines.load()


@pytest.fixture(scope="module")
def document(memory: MemoryMap) -> Document:
    return page.page(memory)


def test_the_shipped_data_have_every_real_pipeline_on_a_card_of_each_class(memory: MemoryMap) -> None:
    assert tuple(pipeline.model for pipeline in memory.pipelines) == pipelines.real_keys()
    assert tuple(card.name for card in memory.cards) == pipelines.CARDS
    for pipeline in memory.pipelines:
        assert dict(pipeline.axes) == dict(pipelines.usual_case(pipeline.model).axes)
        assert all(set(way.cards) == set(pipelines.CARDS) for way in pipeline.ways)


def test_the_shipped_weights_are_those_of_the_zoo(memory: MemoryMap) -> None:
    for pipeline in memory.pipelines:
        for component in pipeline.components:
            if component.model == pipeline.model:
                continue  # `facts` counts the whole pipeline
            parameters = models.workload(component.model).facts(component.model).parameters
            assert parameters is not None
            assert component.bytes == pytest.approx(parameters * ITEM_BYTES[component.dtype], rel=0.002)


def test_the_first_table_says_what_to_do_on_each_card(document: Document, memory: MemoryMap) -> None:
    first = next(document.tables())
    assert len(first.rows) == len(memory.pipelines)
    assert first.keys[2:] == pipelines.CARDS
    for pipeline, row in zip(memory.pipelines, first.rows, strict=True):
        for card, cell in zip(memory.cards, row[2:], strict=True):
            assert (cell.text == "does not run") == (choice.recommended(pipeline, card.name) is None)
            assert ("perhaps" in (cell.text or "")) == (choice.worth_a_try(pipeline, card.name) is not None)
    # Flux's model offload needs nearly all of a card of 24 GB: that it may run is said, not hidden
    assert any("perhaps model offload" in (cell.text or "") for row in first.rows for cell in row)


def test_the_weights_of_all_components_add_up(document: Document, memory: MemoryMap) -> None:
    weights = list(document.tables())[1]
    for pipeline, (_, *parts, whole) in zip(memory.pipelines, weights.rows, strict=True):
        assert sum(int(part.value or 0) for part in parts) == whole.value
        assert whole.value == sum(component.bytes for component in pipeline.components)


def test_each_pipeline_has_its_components_and_all_its_ways(document: Document, memory: MemoryMap) -> None:
    sections = [block for block in document.blocks if isinstance(block, Section)]
    for pipeline, section in zip(memory.pipelines, sections, strict=True):
        ways, components = (table for _, table in Document("", (section,)).placed_tables())
        assert len(components.rows) == len(pipeline.components) + 1
        assert components.rows[-1][3].value == sum(component.bytes for component in pipeline.components)
        assert len(ways.rows) == len(pipeline.ways)
        # the largest stage of each way stands out
        assert all(sum(cell.tone == "strong" for cell in row) == 1 for row in ways.rows)


def test_the_page_keeps_the_case_of_vaes_and_names_what_is_worth_a_try(document: Document) -> None:
    shown = markdown.render(document)
    assert "**Remote VAE and text encoder**" in shown
    assert "sequential offload; perhaps model offload" in shown


def test_the_plot_is_drawn_once_there_is_a_pipeline(memory: MemoryMap) -> None:
    drawn = pipeline_memory_plot.draw(memory)
    assert drawn is not None
    assert drawn.startswith(b"\x89PNG")
    assert pipeline_memory_plot.draw(MemoryMap(memory.cards, ())) is None
