"""What an endpoint does wrong is an outcome with a reason, and the next case is measured."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from factories import a_case, only_stage
from misbehaving import Misbehaving, misbehaving

from bench.errors import EndpointError
from bench.record import Case, Failed, Measured, MeasureSettings, OutOfMemory, Skipped, TimedOut
from bench.remote.endpoint_executor import EndpointExecutor
from bench.run.messages import Done
from bench.wire.address import Endpoints, Token, parse, parse_endpoints

pytest.importorskip("httpx2")
ONCE = MeasureSettings(min_samples=2, few_samples=1, min_time=0, max_noise=None)
TOKEN = Token("s3cret-token")


@pytest.fixture(scope="module")
def server() -> Iterator[Misbehaving]:
    with misbehaving() as it:
        yield it


def measure(
    server: Misbehaving, behaviour: str, transport: str = "jpg", token: Token | None = TOKEN, timeout_s: float = 10.0
) -> Done:
    """One decode over that transport; with a token this program's own client is alone."""
    address = parse(f"{server.url}/{behaviour}")
    executor = EndpointExecutor(Endpoints(single={("tiny", "decode"): address}), token)
    try:
        return executor.run(a_case(operation="decode", transport=transport), ONCE, timeout_s, lambda _: None)
    finally:
        executor.close()


def test_a_good_answer_is_measured_by_all_clients(server: Misbehaving) -> None:
    # when a case is measured without a token
    done = measure(server, "good", token=None)

    # then diffusers' client is the first, and the own one tells of the parts
    assert isinstance(done.outcome, Measured), done.outcome
    assert done.remote is not None
    diffusers, new, kept = done.remote.exchanges
    assert (diffusers.client, diffusers.connection) == ("diffusers", "new")
    assert only_stage(done).timing == diffusers.timing
    assert diffusers.timing.first_call_s is not None
    assert new.split is not None
    assert len(new.split.connect_s) == len(new.split.server_s) == len(new.timing.samples_s)
    assert new.split.tls_s == ()
    assert new.server is not None
    assert new.server.compute_s == (0.004,) * len(new.timing.samples_s)
    assert kept.split is not None
    assert kept.split.connect_s == ()
    assert done.remote.request_bytes == 4 * 32 * 32 * 4
    assert done.remote.checked == len(new.timing.samples_s) + len(kept.timing.samples_s) + 2
    assert done.assumed == ("weights", "dtype", "tiling")


@pytest.mark.parametrize(
    ("operation", "transport"), [("encode", "png"), ("encode", "pt"), ("decode", "jpg"), ("decode", "pt-partial")]
)
def test_the_own_client_sends_what_diffusers_sends(server: Misbehaving, operation: str, transport: str) -> None:
    # given a model that has a shift as well; whatever the answer is, both clients ask once at least
    address = parse(f"{server.url}/good?mine=1")
    executor = EndpointExecutor(Endpoints(single={("flux", operation): address}), None)
    before = len(server.requests)
    executor.run(a_case(model="flux", operation=operation, transport=transport), ONCE, 20, lambda _: None)

    diffusers, *own = server.requests[before:]
    assert "shift_factor=0.1159" in diffusers[0]
    assert len(own) >= 1
    assert set(own) == {diffusers}


def test_parts_add_up_to_no_more_than_the_whole(server: Misbehaving) -> None:
    done = measure(server, "good")
    assert done.remote is not None
    new = done.remote.exchanges[0]
    assert new.split is not None
    parts = zip(
        *(getattr(new.split, name) for name in type(new.split).model_fields if getattr(new.split, name)), strict=True
    )
    for seconds, whole in zip(parts, new.timing.samples_s, strict=True):
        assert sum(seconds) <= whole + 1e-4


def test_with_a_token_diffusers_is_not_asked_and_the_token_is_sent(server: Misbehaving) -> None:
    before = len(server.authorizations)
    done = measure(server, "good")
    assert done.remote is not None
    assert [(e.client, e.connection) for e in done.remote.exchanges] == [("bench", "new"), ("bench", "kept")]
    assert set(server.authorizations[before:]) == {"Bearer s3cret-token"}


@pytest.mark.parametrize("token", [TOKEN, None], ids=["own client", "diffusers first"])
@pytest.mark.parametrize(
    ("behaviour", "transport", "exception", "words"),
    [
        ("truncated", "jpg", "RemoteProtocolError", "127.0.0.1"),
        ("cut-image", "jpg", "UndecodableAnswer", "truncated"),
        ("not-image", "jpg", "UndecodableImage", "UnidentifiedImageError"),
        ("empty", "png", "UndecodableImage", "UnidentifiedImageError"),
        ("small-image", "jpg", "WrongShape", "32x32"),
        ("good", "png", "WrongFormat", "JPEG"),
        ("no-headers", "pt", "MissingHeaders", "shape and dtype"),
        ("bad-headers", "pt", "BadHeaders", "`dtype`"),
        ("short-tensor", "pt", "Truncated", "100 bytes"),
        ("other-shape", "pt", "WrongShape", "[1, 3, 1, 1]"),
        ("text-503", "jpg", "HTTP 503", "Service Unavailable"),
        ("busy", "jpg", "HTTP 503", "1 s"),
        ("missing", "jpg", "HTTP 404", "no such model"),
        ("redirect", "jpg", "HTTP 307", "redirect"),
        ("wrong-digest", "jpg", "PayloadCorrupted", "SHA-256"),
    ],
)
def test_an_invalid_answer_is_a_failure_with_its_reason(
    server: Misbehaving, behaviour: str, transport: str, exception: str, words: str, token: Token | None
) -> None:
    done = measure(server, behaviour, transport, token)

    assert isinstance(done.outcome, Failed), done.outcome
    assert done.outcome.exception == exception, done.outcome
    assert words in done.outcome.message
    assert "\n" not in done.outcome.message
    assert done.outcome.traceback_tail == ""
    assert done.remote is not None
    assert done.remote.endpoint.url.startswith("http://127.0.0.1:")


def test_a_connection_that_is_reset_is_a_failure(server: Misbehaving) -> None:
    assert isinstance(measure(server, "reset").outcome, Failed)


def test_out_of_memory_on_the_server_is_out_of_memory(server: Misbehaving) -> None:
    for token in (TOKEN, None):
        assert measure(server, "out-of-memory", token=token).outcome == OutOfMemory(
            where="device", phase="warm-up", message="The device is full."
        )


@pytest.mark.parametrize("behaviour", ["slow", "dripping", "dripping-body", "endless"])
@pytest.mark.parametrize("token", [TOKEN, None], ids=["own client", "diffusers first"])
def test_an_answer_that_does_not_end_ends_at_the_deadline(
    server: Misbehaving, behaviour: str, token: Token | None
) -> None:
    begin = time.monotonic()
    outcome = measure(server, behaviour, token=token, timeout_s=0.7).outcome
    took = time.monotonic() - begin

    too_large = isinstance(outcome, Failed) and outcome.exception == "ResponseTooLarge"
    assert isinstance(outcome, TimedOut) or (behaviour == "endless" and too_large), outcome
    assert took < 8


def test_a_case_whose_time_is_short_keeps_what_was_sampled(server: Misbehaving) -> None:
    # given far more samples to take than there is time for
    address = parse(f"{server.url}/delayed")
    executor = EndpointExecutor(Endpoints(single={("tiny", "decode"): address}), TOKEN)
    many = MeasureSettings(min_samples=10_000, few_samples=10_000, min_time=0)
    done = executor.run(a_case(operation="decode", transport="jpg"), many, 2.0, lambda _: None)
    executor.close()

    assert isinstance(done.outcome, Measured), done.outcome
    assert done.remote is not None
    assert [exchange.connection for exchange in done.remote.exchanges] == ["new", "kept"]
    assert {exchange.timing.stopped_by for exchange in done.remote.exchanges} == {"max_time"}


def test_an_error_after_the_first_call_is_explained_by_the_timed_client(server: Misbehaving) -> None:
    outcome = measure(server, "good-once", token=None).outcome
    assert isinstance(outcome, Failed), outcome
    assert (outcome.exception, outcome.phase) == ("HTTP 404", "run")
    assert "gone since" in outcome.message


def test_a_kept_connection_that_the_endpoint_closes_each_time_is_counted(server: Misbehaving) -> None:
    done = measure(server, "closing")
    assert done.remote is not None
    kept = done.remote.exchanges[-1]
    assert kept.reopened == len(kept.timing.samples_s)
    assert any("kept connection" in warning for warning in done.warnings)


def test_an_endpoint_that_tiles_where_none_was_planned_is_warned_of(server: Misbehaving) -> None:
    done = measure(server, "three-tiles")
    assert any("3 tiles" in warning for warning in done.warnings)


def test_a_case_is_measured_after_one_that_was_cut_off(server: Misbehaving) -> None:
    # given an executor whose last case ended at the deadline
    addresses = {("tiny", "decode"): parse(f"{server.url}/slow"), ("sdxl", "decode"): parse(f"{server.url}/good")}
    executor = EndpointExecutor(Endpoints(single=addresses), None)
    cut = executor.run(a_case(operation="decode", transport="jpg"), ONCE, 0.5, lambda _: None)
    assert isinstance(cut.outcome, TimedOut)

    # when the next case comes, then it is measured
    next_one = a_case(model="sdxl", operation="decode", transport="jpg")
    assert isinstance(executor.run(next_one, ONCE, 10, lambda _: None).outcome, Measured)


@pytest.mark.parametrize("token", [TOKEN, None], ids=["own client", "diffusers first"])
def test_an_endpoint_that_is_not_there_ends_the_run(token: Token | None) -> None:
    # given an address at which nothing listens any more
    with misbehaving() as gone:
        pass

    # when a case is to be measured, then that is no case's outcome: no other case would fare better
    with pytest.raises(EndpointError) as refused:
        measure(gone, "good", token=token)
    assert f"127.0.0.1:{gone.url.rpartition(':')[2]}" in str(refused.value)
    assert "[Errno" not in str(refused.value)
    assert refused.value.exit_code == 1


def test_an_endpoint_that_dies_in_the_middle_ends_the_run_at_the_next_case() -> None:
    # given an endpoint of which a case was measured
    with misbehaving() as server:
        address = parse(f"{server.url}/good")
        executor = EndpointExecutor(Endpoints(single={("tiny", "decode"): address}), TOKEN)
        case = a_case(operation="decode", transport="jpg")
        assert isinstance(executor.run(case, ONCE, 10, lambda _: None).outcome, Measured)

    # when it is gone before the next, then the run ends there
    with pytest.raises(EndpointError):
        executor.run(case, ONCE, 10, lambda _: None)
    executor.close()


def test_an_unknown_name_ends_the_run() -> None:
    address = parse("http://no-such-host.invalid/decode")
    executor = EndpointExecutor(Endpoints(single={("tiny", "decode"): address}), TOKEN)
    with pytest.raises(EndpointError):
        executor.run(a_case(operation="decode", transport="jpg"), ONCE, 10, lambda _: None)
    executor.close()


def test_a_server_that_speaks_no_tls_is_a_failure_of_tls(server: Misbehaving) -> None:
    address = parse(f"{server.url}/good".replace("http:", "https:"))
    executor = EndpointExecutor(Endpoints(single={("tiny", "decode"): address}), None)
    outcome = executor.run(a_case(operation="decode", transport="jpg"), ONCE, 10, lambda _: None).outcome
    assert isinstance(outcome, Failed)
    assert outcome.exception == "TLSError"


def test_a_server_that_repeats_the_token_does_not_bring_it_into_the_outcome(server: Misbehaving) -> None:
    done = measure(server, "secret")

    assert isinstance(done.outcome, Failed)
    assert done.outcome.exception == "HTTP 401"
    assert "Bearer ***" in done.outcome.message
    assert "s3cret" not in done.model_dump_json()
    assert "\x1b" not in done.outcome.message


def test_a_password_in_the_address_is_used_and_never_shown(server: Misbehaving) -> None:
    address = parse(f"{server.url}/secret?key=hidden-key".replace("//", "//me:pa55word@"))
    executor = EndpointExecutor(Endpoints(single={("tiny", "decode"): address}), None)
    before = len(server.authorizations)
    done = executor.run(a_case(operation="decode", transport="jpg"), ONCE, 10, lambda _: None)

    assert any((header or "").startswith("Basic ") for header in server.authorizations[before:])
    output = done.model_dump_json() + repr(executor.start()) + repr(address)
    assert not [secret for secret in ("pa55word", "hidden-key", "bWU6cGE1NXdvcmQ") if secret in output]


def test_an_operation_without_an_address_is_skipped(server: Misbehaving) -> None:
    executor = EndpointExecutor(parse_endpoints([f"tiny/decode={server.url}/good"]), None)
    outcome = executor.run(a_case(operation="encode", transport="png"), ONCE, 10, lambda _: None).outcome
    assert isinstance(outcome, Skipped)
    assert "--endpoint tiny/encode=URL" in outcome.reason


def test_an_endpoint_of_another_kind_is_assumed_to_have_real_weights(server: Misbehaving) -> None:
    executor = EndpointExecutor(parse_endpoints([f"sd-v1/decode={server.url}/good"]), None)
    served = executor.served(["sd-v1"])["sd-v1"]
    assert (served.weights, served.dtype) == ("hub", "float16")


def test_a_base_address_of_another_kind_is_noted_and_tried(server: Misbehaving) -> None:
    executor = EndpointExecutor(parse_endpoints([server.url]), None)
    ready = executor.start()
    assert ready.note is not None
    case: Case = a_case(operation="decode", transport="jpg")
    assert isinstance(executor.run(case, ONCE, 10, lambda _: None).outcome, Measured)
