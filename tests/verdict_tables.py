"""A small table of verdicts of round figures: SDXL's decode at 1024x1024 on two cards."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from bench.analysis.verdicts.questions import (
    REMOTE,
    Card,
    Figures,
    Model,
    OnCard,
    Question,
    Remote,
    TimeErrors,
    Verdicts,
    Way,
)
from bench.core.units import MIB
from bench.record import Tile

SMALL, LARGE = "NVIDIA GeForce RTX 3070", "NVIDIA GeForce RTX 4090"
UNTILED = Way("untiled", "untiled", None, "float32")
TILE_512 = Way("512/128", "tile 512, overlap 128", Tile(tile=512, overlap=128), "float32")
#: The quick network is for choices; over the slow one nobody would go remote.
NETWORKS = {"fibre": "Fibre", "slow-4g": "Slow 4G"}


def a_question(**fields: Any) -> Question:
    """Untiled it does not fit the small card, whose tiles take 2 s, and it takes 0.3 s on the large one."""
    tiled = Figures(1, "fits", 2000 * MIB, 2.0, 2.0, cost_per_1000=0.02)
    defaults: dict[str, Any] = {
        "model": "sdxl",
        "operation": "decode",
        "width": 1024,
        "height": 1024,
        "frames": None,
        "dtype": "float32",
        "risk": "",
        "ways": (UNTILED, TILE_512),
        "remote": {
            "fibre": Remote(0.5, 0.5, "simulated", LARGE, 0.09, "aws-l40s"),
            "slow-4g": Remote(9.0, 9.0, "simulated", LARGE, 0.09, "aws-l40s"),
        },
        "cards": (
            OnCard((Figures(0, "oom", 9000 * MIB), tiled), 1, (REMOTE, 1)),
            OnCard(
                (
                    Figures(0, "fits", 8000 * MIB, 0.3, 0.3, "published", "published"),
                    replace(tiled, least_s=0.4, most_s=0.8),
                ),
                *(0, (0, 0)),
            ),
        ),
    }
    return Question(**defaults | fields)


def verdicts(*questions: Question) -> Verdicts:
    """Verdicts with these questions, or with `a_question` alone."""
    return Verdicts(
        cards=(Card(SMALL, 8353711390, had="bought"), Card(LARGE, 25386477944, had="bought")),
        models=(Model("sdxl", "SDXL", ("kolors",), "image", "image"),),
        networks=NETWORKS,
        errors=TimeErrors(0.04, 0.19),
        currency="USD",
        questions=questions or (a_question(),),
    )
