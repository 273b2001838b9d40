"""An application of `bench serve` on Ray Serve: deployed, watched while it starts, and taken away. Imports Ray."""

from __future__ import annotations

import contextlib
import json
import logging
import re
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import ray
from ray import serve
from ray.exceptions import RayError
from ray.serve.config import AutoscalingConfig, HTTPOptions
from ray.serve.exceptions import RayServeException
from ray.serve.schema import LoggingConfig

from bench.endpoint.server_settings import Settings
from bench.errors import BenchError, ConfigError
from bench.fleet import proxy
from bench.fleet.front import STATUS_PATH
from bench.fleet.ray_messages import last_line
from bench.fleet.replicas import MARK, Replica
from bench.fleet.report import Report

#: A proxy that takes longer to start than this (5 s by default) is killed by Ray, also if the machine is merely busy.
_PATIENT = {"RAY_SERVE_PROXY_READY_CHECK_TIMEOUT_S": "60"}
#: How often the state of an application is looked at, in seconds.
_POLL_S = 0.5
#: Time for clients to read their last answers, and for replicas that have finished to end.
_LAST_ANSWERS_S, _GONE_S = 30.0, 5.0
_HTTP_S = 3.0
_REPORTS_S = 10.0
#: Ongoing requests of a replica above which the next one is started.
_REQUESTS_PER_REPLICA = 2.0
#: Seconds for which a replica must be too busy before the next one is started.
_UPSCALE_S = 10.0
_SHORTEST_S = 1.0


@dataclass(frozen=True, slots=True)
class Count:
    """How many replicas there are: a fixed number, or as many as the requests need."""

    least: int
    most: int

    @property
    def first(self) -> int:
        """How many are started at once. One at least, so that a model that can't be loaded is known at once."""
        return max(1, self.least)

    @property
    def is_fixed(self) -> bool:
        """Whether the requests don't change it."""
        return self.least == self.most


def count_of(text: str) -> Count:
    """Return the count that `2` or `0-4` gives. Raises ConfigError."""
    match = re.fullmatch(r"([0-9]{1,3})(?:-([0-9]{1,3}))?", text.strip())
    least = int(match[1]) if match else 0
    most = int(match[2] or match[1]) if match else 0
    if most < 1 or least > most:
        raise ConfigError(f"--replicas {text[:40]}: not a number of replicas. Give 2, or 0-4 to scale by requests.")
    return Count(least, most)


@dataclass(frozen=True, slots=True)
class State:
    """Where an application stands: `ready` of its replicas run; `problem` says why it has failed, or None."""

    ready: int
    is_ready: bool
    problem: str | None


def is_running() -> bool:
    """Whether the cluster runs Ray Serve already."""
    logging.getLogger("ray.serve").setLevel(logging.ERROR)
    status = serve.status()
    return bool(status.proxies or status.applications)


def start(host: str, port: int) -> None:
    """Start Ray Serve with one proxy, on the cluster's head, and our front in it. Raises BenchError."""
    try:
        serve.start(
            proxy_location="HeadOnly",
            http_options=HTTPOptions(host=host, port=port),
            logging_config=LoggingConfig(enable_access_log=False),
            controller_options={"runtime_env": {"env_vars": {proxy.VARIABLE: proxy.IMPORT_PATH, **_PATIENT}}},
        )
    except (RayError, RuntimeError, ValueError, TimeoutError) as error:
        with contextlib.suppress(RayError, RuntimeError, TimeoutError):
            serve.shutdown()  # what there is of it would be taken for somebody else's
        raise BenchError(
            f"--host {host} --port {port}: Ray's proxy could not start ({_brief(str(error))}). Check the address, or "
            "choose another port with --port."
        ) from error


def address() -> tuple[str, int]:
    """Return the host and port at which Ray Serve's proxies listen."""
    options = _client().http_config
    return str(options.host), int(options.port)


def head_address() -> str:
    """Return the address of the node that has the proxy, or of any node that has one."""
    nodes = {node["NodeID"]: str(node["NodeManagerAddress"]) for node in ray.nodes() if node["Alive"]}
    return next((nodes[name] for name in serve.status().proxies if name in nodes), "127.0.0.1")


class Application:
    """One application, by its name."""

    def __init__(self, name: str, count: Count, url: str, *, is_alone: bool = True) -> None:
        """`url`: where its paths begin, as this machine reaches it. `is_alone`: Ray Serve was started for it."""
        self.name, self.count, self.url, self.is_alone = name, count, url, is_alone
        self._finish_s = _LAST_ANSWERS_S

    def deploy(self, settings: Settings, prefix: str, idle_s: float, gpus: int, *, own_threads: bool) -> None:
        """Begin to start it, each replica with so many GPUs. Raises BenchError if the name is taken.

        With `own_threads`, torch chooses how many threads a CPU computes with, as in `bench serve`; else Ray does.
        """
        if self.name in serve.status().applications:
            raise BenchError(
                f"This cluster already has an application named {self.name}. Choose another name with --name, or end "
                f"that one: python -c \"from ray import serve; serve.delete('{self.name}')\""
            )
        most = settings.bounds.connections
        self._finish_s = 2 * settings.bounds.time_limit_s + _LAST_ANSWERS_S
        # a variable of its own gives each replica a process of its own, whose age is that of the replica
        shipped = dict(ray.get_runtime_context().runtime_env)
        environment = {**shipped, "env_vars": {**shipped.get("env_vars", {}), "BENCH_REPLICA": self.name}}
        scaling: dict[str, Any] = {"num_replicas": self.count.most}
        if not self.count.is_fixed:
            scaling = {"autoscaling_config": _scaling(self.count, idle_s)}
        deployment = serve.deployment(
            Replica,
            name=proxy.DEPLOYMENT,
            ray_actor_options={"num_cpus": _cpus(gpus), "num_gpus": gpus, "runtime_env": environment},
            # a replica's own queue refuses first, with the time until another try
            max_ongoing_requests=most,
            max_queued_requests=most,
            graceful_shutdown_wait_loop_s=0.1,
            graceful_shutdown_timeout_s=self._finish_s,
            logging_config=LoggingConfig(enable_access_log=False),
            **scaling,
        )
        bound = deployment.bind(settings, can_sleep=not self.count.least, own_threads=own_threads)
        target = serve.api.RunTarget(bound, name=self.name, route_prefix=prefix)
        serve.run_many([target], wait_for_applications_running=False, wait_for_ingress_deployment_creation=False)

    def lacking(self, gpus: int) -> str | None:
        """Return what the cluster has too little of for the first replicas, in words; None if they have room.

        To be asked before they are deployed: afterwards they have what was free.
        """
        for name, each in (("GPU", gpus), ("CPU", _cpus(gpus))):
            needed = each * self.count.first
            there, free = (int(ask().get(name, 0)) for ask in (ray.cluster_resources, ray.available_resources))
            if min(there, free) < needed:
                replicas = "1 replica needs" if self.count.first == 1 else f"{self.count.first} replicas need"
                return f"{replicas} {needed} {name}{'s' * (needed > 1)}; this cluster has {there}, {free} of them free"
        return None

    def states(self) -> Iterator[State]:
        """Yield its state about twice a second."""
        while True:
            yield self.state()
            time.sleep(_POLL_S)

    def state(self) -> State:
        """Return its state now."""
        overview = serve.status().applications.get(self.name)
        if overview is None:
            return State(0, False, "the cluster no longer has it")
        deployment = overview.deployments.get(proxy.DEPLOYMENT)
        ready = deployment.replica_states.get("RUNNING", 0) if deployment else 0
        message = f"{overview.message}\n{deployment.message if deployment else ''}"
        ours = re.search(f"{re.escape(MARK)}(.*?){re.escape(MARK)}", message, re.DOTALL)
        problem = ours[1] if ours else None
        if problem is None and overview.status == "DEPLOY_FAILED":
            problem = _brief(message)
        return State(ready, overview.status == "RUNNING", problem)

    def reports(self) -> list[Report]:
        """Return the reports of the replicas that run and answer; none if no replica runs."""
        try:
            handle = serve.get_app_handle(self.name)
            answers = handle.broadcast("report").results(timeout_s=_REPORTS_S, return_exceptions=True)
        except (RayError, RayServeException, RuntimeError, TimeoutError):
            return []
        return [answer for answer in answers if isinstance(answer, Report)]

    def front_status(self) -> dict[str, Any] | None:
        """Return what the front in Ray's proxy says of itself; None if there is none, or if it can't be reached."""
        root = re.sub(r"(?<=[^/:])/.*", "", self.url)
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(f"{root}{STATUS_PATH}", timeout=_HTTP_S) as answer:
                content = json.load(answer)
        except (OSError, ValueError):
            return None
        return content if isinstance(content, dict) else None

    def stop(self, say: Callable[[str], None]) -> None:
        """Take no more requests, and return once the accepted ones are answered and, if that is quick, all is gone.

        Replicas that were still starting have nothing to finish, and Ray ends them when they are ready or late.
        """
        serve.delete(self.name, _blocking=False)
        answered_by = time.monotonic() + self._finish_s
        while (self.front_status() or {}).get("in_flight", {}).get(self.name):
            if time.monotonic() > answered_by:
                say("Some requests were not finished in time.")
                return
            time.sleep(_POLL_S / 5)
        gone_by = time.monotonic() + _GONE_S
        while self.name in serve.status().applications and time.monotonic() < gone_by:
            time.sleep(_POLL_S / 5)

    def shut_down_if_unused(self) -> None:
        """End Ray Serve unless somebody else's application is on it."""
        if not set(serve.status().applications) - {self.name}:
            with contextlib.suppress(TimeoutError):
                serve.shutdown()


def _client() -> Any:
    """Return the connection to Ray Serve: its address has no function of its own."""
    return serve.context._get_global_client()


def _cpus(gpus: int) -> int:
    """The CPUs that Ray reserves for a replica: none for one that stands in for a GPU's, so that it always fits."""
    return 1 if gpus else 0


def _scaling(count: Count, idle_s: float) -> AutoscalingConfig:
    period_s = max(_SHORTEST_S, min(_UPSCALE_S, idle_s / 2))
    return AutoscalingConfig(
        min_replicas=count.least,
        max_replicas=count.most,
        initial_replicas=count.first,
        target_ongoing_requests=_REQUESTS_PER_REPLICA,
        upscale_delay_s=period_s,
        downscale_delay_s=idle_s,
        metrics_interval_s=period_s / 2,
        look_back_period_s=period_s,
    )


def _brief(text: str) -> str:
    return last_line(text, "no reason is known")
