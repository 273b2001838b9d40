"""Which cluster `--on` names. Loads no Ray, so that a wrong one is refused at once."""

from __future__ import annotations

import re

from bench.errors import ConfigError, printable

#: The variable in which Ray finds a cluster.
VARIABLE = "RAY_ADDRESS"
#: Ray's word for a cluster that is started here, and ended again.
OWN = "local"
CLIENT = "ray://"


def address_of(engine: str, given: str | None) -> str:
    """The address of a cluster: of `ray` what RAY_ADDRESS says (`given`), else `local`; of `ray://HOST:PORT` itself.

    Raises ConfigError for anything else.
    """
    if engine == "ray":
        return given or OWN
    if re.fullmatch(r"ray://[^/\s]+:\d{1,5}", engine):
        return engine
    raise ConfigError(
        f"--on {printable(engine, 80)} is not known. Use ray (the cluster of {VARIABLE}, else this machine) or "
        "ray://HOST:PORT (a cluster's Ray Client server, whose port is usually 10001)."
    )
