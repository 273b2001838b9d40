"""The page of endpoints: a golden file for its form, and what it must say."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from documents import columns_of, rows_of
from endpoint_records import (
    a_load,
    an_endpoint_record,
    endpoint_device,
    endpoint_records,
    exchanges,
    facts,
    remote,
    split,
    timing,
)
from factories import a_case, a_device, a_run, measured

from bench.errors import DocsError
from bench.record import Exchange, Failed, Load, OutOfMemory, Record, Skipped, TimedOut
from bench.report.docs import docs_table
from bench.report.document import Document
from bench.report.pages import measured_page, remote_page
from bench.report.pages.remote_parts import stack
from bench.report.render import html_page, markdown, short_pages
from bench.workloads.image_vae import WORKLOAD

FAILURE = {"remote": None, "timing": None}


def page_of(*records: Record) -> Document:
    return remote_page.page(remote_page.endpoints(records))


def rendered(*records: Record) -> str:
    return markdown.render(short_pages.shortened(page_of(*records)))


def latencies(*records: Record) -> list[dict[str, str]]:
    """The rows of the tables of whole requests."""
    return rows_of(page_of(*records), "End to end")


def loads(*shown: Load) -> list[dict[str, str]]:
    """The rows of the table of these loads of one endpoint."""
    return rows_of(page_of(an_endpoint_record(remote=remote(loads=shown))), "Load")


def _every_kind() -> list[Record]:
    """Two endpoints; every kind of cell."""
    loads = (a_load(), a_load(kind="closed", concurrency=8, rate_per_s=None, share=None, lag_p99_s=None, errors={}))
    other = {
        "device": endpoint_device("sd|x <b>"),
        "run": a_run(id="20260102T120000Z-remote", config="remote", cases=3, started_at="2026-01-02T12:00:00.000000Z"),
    }
    elsewhere = facts(
        url="https://example.org/vae", server_device=None, server_packages={}, server_commit=None, reason="another kind"
    )
    case = {"model": "sd-v1", "dtype": "float16", "weights": "hub", "operation": "encode", "transport": "png"}
    answered = remote(0.4, endpoint=elsewhere, exchanges=exchanges(0.4, diffusers=False), content="1/f noise image")
    return [
        *endpoint_records(),
        an_endpoint_record(0.03, case={"size": 128}, remote=remote(0.03, loads=loads), warnings=("busy | machine",)),
        an_endpoint_record(case={"size": 512}, outcome=OutOfMemory(where="device"), **FAILURE),
        an_endpoint_record(0.4, case=case | {"size": 1024}, remote=answered, **other),
        an_endpoint_record(
            case=case | {"size": 2048},
            outcome=Failed(exception="ConnectError", message="no route\nto <host>"),
            **FAILURE,
            **other,
        ),
        an_endpoint_record(case=case | {"size": 512}, outcome=TimedOut(timeout_s=60), **FAILURE, **other),
    ]


def test_the_page_is_as_it_was(golden: Callable[[str, str], None]) -> None:
    golden("report_remote.md", rendered(*_every_kind()))


def test_a_page_of_no_records_says_how_to_get_some() -> None:
    assert "`bench remote --endpoint URL` measures one" in rendered(measured())


def test_end_to_end_is_diffusers_and_the_kept_connection_is_beside_it() -> None:
    (row,) = latencies(an_endpoint_record(0.1))
    assert [row[name] for name in ("End to end", "±", "First call", "Kept")] == ["110 ms", "6.0%", "330 ms", "90 ms"]


def test_where_diffusers_could_not_be_used_the_row_says_whose_client_it_was() -> None:
    record = an_endpoint_record(0.1, remote=remote(exchanges=exchanges(0.1, diffusers=False)))
    assert latencies(record)[0]["End to end"] == "100 ms (bench)"


@pytest.mark.parametrize(
    ("outcome", "word"),
    [
        (Failed(exception="ConnectError", message="refused"), "failed"),
        (TimedOut(timeout_s=5), "timed out"),
        (OutOfMemory(where="device"), "OOM"),
        (Skipped(reason="not served"), "skipped"),
    ],
)
def test_a_case_without_a_figure_has_its_row_and_its_reason(outcome: object, word: str) -> None:
    record = an_endpoint_record(outcome=outcome, **FAILURE)
    assert latencies(record)[0]["End to end"] == word
    assert "- tiny decode 64x64 float32 untiled over jpg: " in rendered(record)


@pytest.mark.parametrize(
    ("url", "marked"),
    [
        ("http://127.0.0.1:8000", True),
        ("http://[::1]:8000", True),
        ("http://localhost", True),
        ("https://example.org", False),
        ("http://[", False),
    ],
)
def test_only_loopback_is_marked_as_without_a_network(url: str, marked: bool) -> None:
    text = rendered(an_endpoint_record(remote=remote(endpoint=facts(url=url)), device=endpoint_device("mine")))
    assert ("no network is in these figures" in text) == marked
    assert ("(loopback)\n" in text) == marked  # in the heading, since the name does not say it


def test_random_weights_are_told_and_hub_weights_need_no_word() -> None:
    assert "with random weights" in rendered(an_endpoint_record())
    assert "with random weights" not in rendered(an_endpoint_record(case={"weights": "hub"}))


def test_the_page_has_nothing_that_each_run_changes_but_its_figures() -> None:
    """Neither run, date and commit nor an endpoint's port on this machine; the other formats have them."""
    earlier, later = (
        an_endpoint_record(),
        an_endpoint_record(run=a_run(id="20270707T070707Z-x", started_at="2027-07-07")),
    )
    assert rendered(earlier) == rendered(later)
    assert "127.0.0.1" not in rendered(earlier)
    assert "127.0.0.1" in html_page.render(page_of(earlier))
    assert "20270707T070707Z-x" in html_page.render(page_of(later))


def test_columns_without_a_figure_are_left_out() -> None:
    assert "TLS" not in columns_of(page_of(an_endpoint_record()))[1]
    over_tls = Exchange(client="bench", connection="new", timing=timing(1), split=split(1, tls_s=(0.1,)))
    parts = columns_of(page_of(an_endpoint_record(remote=remote(exchanges=(over_tls,)))))[1]
    assert "TLS" in parts
    assert "Server: compute" not in parts


def test_a_late_generator_is_marked() -> None:
    on_time, late = loads(a_load(), a_load(lag_p99_s=0.05))
    assert on_time["Late"] == "800 us"
    assert late["Late"] == "50 ms (late)"


def test_a_load_without_a_good_answer_has_no_percentiles() -> None:
    (row,) = loads(a_load(succeeded=0, throughput_per_s=0, percentiles=(), latency_s=()))
    assert [row[name] for name in ("Good", "Throughput", "p50", "p90", "p95", "p99")] == ["0", "0 /s", *"----"]


def test_what_comes_out_of_files_is_shown_as_it_is() -> None:
    name = "x](http://evil) <script> |"
    text = rendered(an_endpoint_record(device=endpoint_device(name), warnings=("<img src=x>",)))
    assert "<script>" not in text
    assert "<img" not in text
    assert "x](http" not in text


def test_two_endpoints_whose_names_come_to_one_file_name_have_two() -> None:
    found = remote_page.endpoints([an_endpoint_record(device=endpoint_device(name)) for name in ("a b", "a-b", "c")])
    assert list(found) == ["a-b", "a-b-2", "c"]


def test_the_parts_of_a_stack_add_up_to_the_request() -> None:
    assert sum(stack(an_endpoint_record(0.1)).values()) == pytest.approx(0.1)


def test_a_server_that_says_more_than_the_client_waited_takes_no_more_than_that() -> None:
    long = exchanges(0.1)[1].model_copy(update={"split": split(0.1, server_s=(0.02,))})
    parts = stack(an_endpoint_record(remote=remote(exchanges=(long,))))
    assert parts["server: compute"] == 0.02
    assert sum(parts.values()) == pytest.approx(0.36 * 0.1 - 0.002 + 0.02)


def test_a_percentile_of_too_few_answers_is_left_out() -> None:
    (row,) = loads(a_load(succeeded=99))
    assert row["p50"].startswith("61 ms (")
    assert row["p99"] == "-"


def test_a_load_with_errors_is_marked() -> None:
    lost, whole = loads(a_load(), a_load(errors={}, retry_after=0))
    assert lost["Load"].endswith("(errors)")
    assert not whole["Load"].endswith("(errors)")
    assert whole["Errors"] == "none"


def test_a_kept_connection_that_was_mostly_reopened_has_no_figure() -> None:
    first, new, kept = exchanges(0.1)
    reopened = kept.model_copy(update={"reopened": 4})
    assert latencies(an_endpoint_record(remote=remote(exchanges=(first, new, reopened))))[0]["Kept"] == "reopened"


def test_what_all_rows_share_is_said_once_and_what_differs_has_a_column() -> None:
    assert "All rows: float32, random weights." in rendered(an_endpoint_record())
    assert not rows_of(page_of(an_endpoint_record()), "Case")
    two = (an_endpoint_record(), an_endpoint_record(case={"dtype": "float16"}))
    cases = [row["Case"] for row in rows_of(page_of(*two), "Case") if "End to end" in row]
    assert cases == ["float16, random weights", "float32, random weights"]
    assert "All rows" not in rendered(*two)


def test_sizes_are_in_natural_order() -> None:
    records = [an_endpoint_record(case={"size": size}) for size in (1024, 256, 2048, 512)]
    assert [row["Resolution"] for row in latencies(*records)] == ["256x256", "512x512", "1024x1024", "2048x2048"]


def test_a_phase_that_is_not_known_is_not_shown() -> None:
    assert "None" not in rendered(an_endpoint_record(outcome=TimedOut(timeout_s=5), **FAILURE))


# --- other pages


def test_an_endpoint_is_in_no_table_of_gpus() -> None:
    local, over_wire = measured(case=a_case(operation="decode")), an_endpoint_record()
    pages = [measured_page.page(WORKLOAD, "decode", records) for records in ([local, over_wire], [local])]
    assert pages[0] == pages[1]
    assert docs_table.render([local, over_wire], "decode") == docs_table.render([local], "decode")
    with pytest.raises(DocsError):
        docs_table.render([over_wire], "decode")


def test_local_records_are_not_on_the_page_of_endpoints() -> None:
    assert remote_page.endpoints([measured(), measured(device=a_device(kind="cpu", name="CPU"))]) == {}
