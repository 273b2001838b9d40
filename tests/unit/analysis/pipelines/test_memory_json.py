"""The memory of pipelines as JSON, and back."""

from __future__ import annotations

import pytest
from factories import refusal

from bench.analysis.pipelines.memory_json import from_json, to_json
from bench.analysis.pipelines.memory_map import CardMemory, Component, MemoryMap, OnCard, PipelineMemory, StagePeak, Way
from bench.errors import BenchError

MEMORY = MemoryMap(
    (CardMemory("A card", 8_000),),
    (
        PipelineMemory(
            "a-pipeline",
            {"width": 512, "height": 512, "steps": 2},
            "float16",
            (Component("unet", "a-pipeline", "float16", 10),),
            (
                Way(
                    "default",
                    is_tiled=False,
                    stages=(StagePeak("denoise", 10, 20, 30, (20, 40)),),
                    copied_bytes=0,
                    cards={"A card": OnCard("fits", "high", "denoise", 30, 0.5)},
                ),
                Way("model-offload", False, (StagePeak("denoise", 5, 6, 7, (7, 7)),), 9, {}),
            ),
        ),
    ),
)


def test_what_is_written_is_read_again() -> None:
    text = to_json(MEMORY)
    assert from_json(text, "pipelines.json") == MEMORY
    assert len(text.splitlines()) == 10  # a line for each card and each way


@pytest.mark.parametrize("text", ["", "{}", '{"version":1}', "[1]", to_json(MEMORY).replace("unet", 'u"net')])
def test_a_damaged_file_is_refused_with_its_name(text: str) -> None:
    assert "pipelines.json" in refusal(BenchError, from_json, text, "pipelines.json")


def test_a_file_of_another_version_is_refused() -> None:
    assert "99" in refusal(BenchError, from_json, to_json(MEMORY).replace('"version":1', '"version":99'), "a.json")
