"""The proxies that the environment names, which are never used for this machine."""

from __future__ import annotations

import os
from urllib.request import getproxies, proxy_bypass

from bench.errors import ConfigError
from bench.wire.address import Address, parse

_VARIABLES = ("NO_PROXY", "no_proxy")  # some clients read the first, some the second


def spare(address: Address) -> None:
    """Let requests to an address of this machine bypass all proxies, in this process and its children."""
    if not address.is_loopback:
        return
    known = ",".join(filter(None, (os.environ.get(name) for name in _VARIABLES)))
    hosts = dict.fromkeys([*(host.strip() for host in known.split(",") if host.strip()), address.host])
    for name in _VARIABLES:
        os.environ[name] = ",".join(hosts)


def of(address: Address) -> str | None:
    """Return the proxy for requests to an address, without its password; None if there is none."""
    proxy = None if address.is_loopback else getproxies().get("https" if address.tls else "http")
    if not proxy or proxy_bypass(address.host):
        return None
    try:
        return parse(proxy if "://" in proxy else f"http://{proxy}").shown
    except ConfigError:  # not an HTTP proxy, or not a URL
        return "a proxy"
