"""Values that a shell completes: names of models, operations and sweeps. Each loads its room only when it is asked."""

from __future__ import annotations

from collections.abc import Iterable


def models(incomplete: str) -> list[str]:
    """The models and aliases that begin so."""
    from bench.workloads import models as workload_models

    return _beginning(incomplete, (*workload_models.zoo(), *workload_models.aliases()))


def operations(incomplete: str) -> list[str]:
    """The operations that begin so."""
    from bench.workloads import models as workload_models

    return _beginning(incomplete, workload_models.operations())


def sweeps(incomplete: str) -> list[str]:
    """The shipped sweeps that begin so."""
    from bench.config import shipped

    return _beginning(incomplete, sorted(shipped()))


def _beginning(incomplete: str, names: Iterable[str]) -> list[str]:
    return [name for name in names if name.startswith(incomplete)]
