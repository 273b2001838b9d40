"""`bench predict --fits`: the largest images and batches that fit cards."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import typer

from bench.commands.stderr import interruptible, tell_aliases, tracked
from bench.errors import ConfigError

if TYPE_CHECKING:
    from bench.predictions.target_cards import TargetCard


def refuse_others(given: Mapping[str, object]) -> None:
    """Raise ConfigError if one of these options, by name, is given: --fits can't be combined with them."""
    names = [name for name, value in given.items() if value]
    if names:
        raise ConfigError(
            f"--fits searches all sizes, so it can't be combined with {', '.join(names)}. "
            "Choose with --model, --operation, --dtype, --gpu and --vram-limit."
        )


def show(
    cards: Sequence[TargetCard],
    model: Sequence[str],
    operation: Sequence[str],
    dtype: str | None,
    *,
    as_json: bool,
    quiet: bool,
) -> None:
    """Search for what fits the cards, and print it. Raises ConfigError for a choice that can't be predicted."""
    from bench import config
    from bench.predictions import largest_images, pipelines
    from bench.report.pages import largest_figures, largest_page
    from bench.report.render import console, json_text

    tell_aliases(model, quiet=quiet)
    keys = config.models_of(model)
    if pipelines.are_pipelines(keys):
        _show_pipelines(keys, cards, operation, dtype, as_json=as_json, quiet=quiet)
        return
    calls = largest_images.calls_of(keys, config.operations_of(operation, keys), dtype)
    with interruptible("Interrupted before all sizes were tried. Nothing was printed."):
        searches = largest_images.searches(calls, cards)
        results = [search() for search in tracked(searches, "Searching sizes", quiet=quiet or as_json)]
    if as_json:
        typer.echo(json_text.render(largest_figures.figures(results)), nl=False)
    elif not quiet:
        console.show(largest_page.terminal(results))


def _show_pipelines(
    keys: Sequence[str],
    cards: Sequence[TargetCard],
    operation: Sequence[str],
    dtype: str | None,
    *,
    as_json: bool,
    quiet: bool,
) -> None:
    """Search for the largest pictures that pipelines make, and print them. Raises ConfigError, as `show` does."""
    from bench import config
    from bench.predictions import largest_pipelines
    from bench.report.pages import largest_pipelines_page
    from bench.report.render import console, json_text

    config.operations_of(operation, keys)
    with interruptible("Interrupted before all sizes were tried. Nothing was printed."):
        searches = largest_pipelines.searches(keys, dtype, cards)
        results = [search() for search in tracked(searches, "Searching sizes", quiet=quiet or as_json)]
    if as_json:
        typer.echo(json_text.render(largest_pipelines_page.figures(results)), nl=False)
    elif not quiet:
        steps = largest_pipelines.STEP_PX, largest_pipelines.MOST_PX
        console.show(largest_pipelines_page.terminal(results, *steps))
