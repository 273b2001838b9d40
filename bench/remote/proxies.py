"""Proxies that the environment names: none stands between this machine and itself. Free of torch and of httpx2."""

from __future__ import annotations

import os
from urllib.request import getproxies, proxy_bypass

from bench.errors import ConfigError
from bench.wire.address import Address, parse

_VARIABLES = ("NO_PROXY", "no_proxy")  # which of the two counts differs from one client to another


def spare(address: Address) -> None:
    """Keep requests to an address of this very machine from any proxy, in this process and its children."""
    if not address.is_loopback:
        return
    known = ",".join(filter(None, (os.environ.get(name) for name in _VARIABLES)))
    hosts = dict.fromkeys([*(host.strip() for host in known.split(",") if host.strip()), address.host])
    for name in _VARIABLES:
        os.environ[name] = ",".join(hosts)


def of(address: Address) -> str | None:
    """The proxy that requests to an address go through, without its password; None where there is none."""
    found = None if address.is_loopback else getproxies().get("https" if address.tls else "http")
    if not found or proxy_bypass(address.host):
        return None
    try:
        return parse(found if "://" in found else f"http://{found}").shown
    except ConfigError:  # of a kind that is no http, or no URL
        return "a proxy"
