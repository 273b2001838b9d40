"""Costs as JSON, for programs. Amounts are of 1,000 images, in the currency that is named."""

from __future__ import annotations

from typing import Any

from bench.analysis.cost.arithmetic import EndpointCost, break_even, per_1000
from bench.analysis.cost.image_costs import CHARGES, Costs, Image, Local, Remote


def render(costs: Costs) -> dict[str, Any]:
    """All images; each figure with its `kind`."""
    return {
        "currency": costs.prices.currency,
        "images_per_hour": list(costs.volumes),
        "images": [_image(image, costs) for image in costs.images],
        "missing": list(costs.gaps),
    }


def _image(image: Image, costs: Costs) -> dict[str, Any]:
    return {
        "case": {"model": image.case.model, "operation": image.case.operation, **image.case.axes},
        "local": [_local(local, image, costs) for local in image.local],
        "remote": [_remote(remote, costs) for remote in image.remote],
    }


def _local(local: Local, image: Image, costs: Costs) -> dict[str, Any]:
    cost = local.cost
    return {
        "device": local.row.device.name,
        "vram_limit_bytes": local.row.vram_limit_bytes,
        "precision": local.row.case.dtype,
        "way": local.way,
        "seconds": cost and cost.seconds,
        "kind": local.row.kind,
        "energy_j": local.energy and local.energy.joules,
        "energy_from": local.energy and local.energy.found_by,
        "per_1000": cost and [per_1000(cost, volume) for volume in costs.volumes],
        "per_1000_kind": "simulated",
        "break_even": {one.name: _ranges(local, one.cost) for one in image.remote if one.cost},
    }


def _ranges(local: Local, remote: EndpointCost) -> dict[str, Any]:
    """By how the card is charged: the images an hour between which the endpoint costs no more; null: at none."""
    found: dict[str, Any] = {}
    for charge in CHARGES:
        cost = local.charged(charge)
        between = break_even(cost, remote) if cost else None
        found[charge] = between and {"above": between.above, "below": between.below}
    return found


def _remote(remote: Remote, costs: Costs) -> dict[str, Any]:
    cost = remote.cost
    return {
        "endpoint": remote.name,
        "accelerator": remote.price.accelerator,
        "seconds": remote.seconds,
        "kind": remote.kind,
        "time_of": remote.by,
        "per_1000": cost and [per_1000(cost, volume) for volume in costs.volumes],
        "per_1000_kind": "simulated",
    }
