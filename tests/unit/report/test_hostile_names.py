"""One hostile name through every page, terminal output and plot: it is shown, and acts on nothing."""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from endpoint_records import a_load, an_endpoint_record, an_overlap, endpoint_device, facts, remote
from factories import a_case, a_device, a_run, an_environment, measured, out_of_memory, published, write_lines
from markdown_it import MarkdownIt
from markdown_it.token import Token
from observed import TRUTH, WORKS, observed
from PIL import Image
from predictions import a_predicted_record
from sides import NETWORKS, compared, prices
from timelines import a_timeline
from ways import IMAGE, a_place, a_way, away

from bench.analysis.advise.ranking import rank
from bench.analysis.advise.ways import Advice
from bench.analysis.compare import Comparison, Request, compare
from bench.analysis.compare.sides import side
from bench.analysis.cost.image_costs import VOLUMES, Costs
from bench.analysis.cost.image_costs import compare as costs_of
from bench.analysis.speed.clock import Clock
from bench.analysis.speed.evaluation import Evaluation
from bench.analysis.speed.extrapolation import Scope
from bench.analysis.speed.held_out import Cell
from bench.cli import main
from bench.config import Network
from bench.core.units import MIB
from bench.doctor import Finding
from bench.record import Crashed, Environment, Failed, GpuSettings, Memory, Package, Record, Skipped, Tile
from bench.report.docs import docs_table
from bench.report.docs.docs_page import read_page
from bench.report.document import Document
from bench.report.pages import (
    advice_page,
    compare_page,
    cost_page,
    diagnosis,
    hybrid_page,
    measured_page,
    predicted_page,
    profile_page,
    remote_page,
    run_table,
    time_model_page,
)
from bench.report.plots import cost_plot, hybrid_plot, profile_plot, remote_plot, time_plot
from bench.report.render import console, markdown
from bench.report.render.terminal import Draw, plain
from bench.run import run_summary
from bench.vram.call_profile import Profiled, profile
from bench.workloads.image_vae import WORKLOAD

PLAIN = "NVIDIA Test 4090"
HOSTILE = (
    "-|Evil\\|<script>alert(1)</script><b>\n\n# head\n| a | b |\n|---|---|\n\x1b[31m\x07\r\u202ebidi\u2028`tick [red]"
    "[x](http://evil.example) ![i](j.png) **b** _u_ ~~s~~ $x_1$ &lt; www.evil.example @someone #12 <!-- 日本"
)
TILED = Tile(tile=512, overlap=128)
#: What a terminal or a browser acts on and nobody sees: control, format and separator characters but the newline.
UNSEEN = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2066-\u2069]")


def _environment(name: str) -> Environment:
    packages = {"torch": Package(version=name), name: Package(version="1")}
    return an_environment(
        host_cpu=name, os=name, python=name, packages=packages, driver=name, cuda=name, cudnn=name,
        project_commit=name, may_spill=name, variables={"CUDA_VISIBLE_DEVICES": name},
        gpu=GpuSettings(compute_capability=name),
    )  # fmt: skip


def _local(name: str, operation: str = "encode") -> list[Record]:
    run = a_run(id=name, config=name, cases=9)
    device = a_device(name=name)
    common = {"run": run, "device": device, "environment": _environment(name), "warnings": (name,)}
    kind = {"operation": operation}
    lost = {"timing": None, "memory": None, **common}
    return [
        measured(0.1, case=a_case(size=512, **kind), memory=Memory(percent=8.4, nvml_process_reason=name), **common),
        measured(0.1, case=a_case(size=512, tiling=TILED, **kind), tiles=4, **common),
        measured(0.1, case=a_case(model=name, weights=name, variant=name, **kind), **common),
        out_of_memory(case=a_case(size=2048, **kind), **common),
        measured(case=a_case(size=128, **kind), outcome=Failed(exception=name, message=name), **lost),
        measured(case=a_case(size=256, **kind), outcome=Crashed(signal=name), **lost),
        measured(case=a_case(size=64, **kind), outcome=Skipped(reason=name), **lost),
        published(0.1, case=a_case(size=768, **kind), device=device, source=name, run=a_run(id="pub", config=name)),
    ]


def _endpoints(name: str) -> list[Record]:
    server = facts(
        url=f"https://example.org/{name}", server_device=a_device(name=name), server_commit=name,
        server_packages={name: Package(version=name)},
    )  # fmt: skip
    unknown = facts(url="https://example.org", server_device=None, server_packages={}, server_commit=None, reason=name)
    common = {"device": endpoint_device(name), "run": a_run(id=name, config=name, cases=9), "warnings": (name,)}
    far = remote(endpoint=server, content=name, loads=(a_load(errors={name: 2}),), overlaps=(an_overlap(),))
    return [
        an_endpoint_record(remote=far, environment=_environment(name), **common),
        an_endpoint_record(case={"size": 128}, remote=remote(endpoint=unknown), **common),
        an_endpoint_record(case={"size": 256}, remote=None, outcome=Failed(exception=name, message=name), **common),
    ]


def _networks(name: str) -> dict[str, Network]:
    return {key: one.model_copy(update={"title": name, "source": name}) for key, one in NETWORKS.items()}


def _docs(name: str, dialect: str) -> str:
    figures = ("measured", "out_of_memory")
    records = [one for one in _local(name) if one.case.model == "tiny" and one.outcome.status in figures]
    return docs_table.render(records, "encode", dialect).text


def _hybrid(name: str) -> str:
    records = [*_local(name, "decode"), *_endpoints(name)]
    return markdown.render(hybrid_page.page(compared(records, server=None), _networks(name), records))


def _costs(name: str) -> Costs:
    given = prices().model_dump(mode="json", by_alias=True)
    (card,) = given["cards"].values()
    (mine,) = [one for key, one in given["endpoints"].items() if key == "mine"]
    mine |= {"accelerator": name, "source": name}
    listed = prices(cards={name: card | {"rental": card["rental"] | {"source": name}}}, endpoints={name: mine})
    records = _local(name)
    return costs_of(records, compared(records), listed, VOLUMES)


def _predicted(name: str) -> list[Record]:
    return [
        a_predicted_record(
            4000 * MIB, case=a_case(size=512, model=model), device=a_device(name=name), architecture=name
        )
        for model in ("tiny", name)
    ]


def _advice(name: str) -> list[Advice]:
    place = a_place(card=name)
    return [
        rank(IMAGE, place, [a_way(0, 0.3), a_way(1, 0.5)], away()),
        rank(IMAGE, place, [a_way(0, None, "out_of_memory")], away(1.0)),
    ]


def _comparison(name: str) -> Comparison:
    both = [[record for record in _local(name) if record.kind == "measured"] for _ in range(2)]
    both[1][0] = out_of_memory(case=both[0][0].case, device=both[0][0].device, run=a_run(id=name, cases=9))
    sides = [side("base", [(name, both[0])]), side("head", [(name, both[1])])]
    return compare(*sides, Request())


def _time_model(name: str) -> str:
    return markdown.render(time_model_page.page(_evaluation(name)))


def _evaluation(name: str) -> Evaluation:
    seen = replace(observed("one", WORKS[0], "float16", 0.1), card=name)
    return Evaluation(Clock(TRUTH, Scope.of([seen])), (seen,), (Cell(seen, 0.12),))


PAGES: dict[str, Callable[[str], str]] = {
    "vae_encode": lambda name: markdown.render(measured_page.page(WORKLOAD, "encode", _local(name))),
    "vae_decode": lambda name: markdown.render(measured_page.page(WORKLOAD, "decode", _local(name, "decode"))),
    "remote": lambda name: markdown.render(remote_page.page(remote_page.endpoints(_endpoints(name)))),
    "hybrid": _hybrid,
    "cost": lambda name: markdown.render(cost_page.page(_costs(name))),
    "predicted": lambda name: markdown.render(predicted_page.page(_predicted(name), [_local(name)[0]])),
    "advice": lambda name: markdown.render(advice_page.page(_advice(name), None, _networks(name))),
    "time_model": _time_model,
    "compare": lambda name: markdown.render(compare_page.page(_comparison(name))),
    "docs encode": lambda name: _docs(name, "encode"),
    "docs decode": lambda name: _docs(name, "decode"),
}


def _blocks(text: str) -> list[str]:
    """The kinds of blocks, in their order: headings, rows, cells, items."""
    return [token.type for token in MarkdownIt("commonmark").enable("table").parse(text)]


def _marks(text: str) -> list[str]:
    """What is emphasised or struck through, in the page's order."""
    kinds = ("em_open", "strong_open", "s_open")
    return [token.type for token in _inline(text) if token.type in kinds]


def _links(text: str) -> list[object]:
    """Where links and pictures lead; the name of a plot follows from its endpoint's."""
    return [token.attrs.get("href") or token.type for token in _inline(text) if token.type in ("link_open", "image")]


def _inline(text: str) -> Iterator[Token]:
    for token in MarkdownIt("commonmark").enable(["table", "strikethrough"]).parse(text):
        yield from token.children or ()


@pytest.mark.parametrize("name", PAGES)
def test_a_hostile_name_changes_no_page_s_structure(name: str) -> None:
    # given a page of an ordinary name, and the same of a hostile one
    ordinary, hostile = (PAGES[name](text) for text in (PLAIN, HOSTILE))
    assert "Evil" in hostile
    # then headings, tables, rows, cells and lists are the same, and nothing else is HTML, a link or a picture
    assert _blocks(hostile) == _blocks(ordinary)
    assert not {token.type for token in _inline(hostile)} & {"html_inline"}
    assert _marks(hostile) == _marks(ordinary)
    assert _links(hostile) == _links(ordinary)
    # and nothing is left that a browser or terminal acts on
    assert not UNSEEN.search(hostile)
    assert "<script" not in hostile


@pytest.mark.parametrize("dialect", ["encode", "decode"])
def test_a_hostile_name_in_the_docs_table_is_read_back_and_printed_the_same(dialect: str) -> None:
    rendered = _docs(HOSTILE, dialect)
    again = docs_table.render(read_page(rendered, "page.md", "encode", recorded_at="").records, "encode", dialect)
    assert again.text == rendered


def _doctor() -> Draw:
    finding = Finding(level="problem", subject=HOSTILE, said=HOSTILE, remedy=HOSTILE)
    return console.draw(diagnosis.document([finding], "not sound"))


TERMINALS: dict[str, Callable[[], Draw]] = {
    "hybrid": lambda: console.draw(
        hybrid_page.terminal(compared([*_local(HOSTILE, "decode"), *_endpoints(HOSTILE)]), _networks(HOSTILE))
    ),
    "cost": lambda: console.draw(cost_page.terminal(_costs(HOSTILE))),
    "compare": lambda: console.draw(compare_page.terminal(_comparison(HOSTILE))),
    "predict": lambda: console.draw(predicted_page.terminal(_predicted(HOSTILE))),
    "advise": lambda: console.draw(advice_page.terminal(_advice(HOSTILE), None, _networks(HOSTILE))),
    "doctor": _doctor,
    "run": lambda: console.draw(Document("", (run_table.table(_local(HOSTILE)),))),
    "profile": lambda: console.draw(profile_page.terminal(_profiled())),
}


def _profiled() -> Profiled:
    shown = Profiled(a_case(model=HOSTILE, size=512), HOSTILE, HOSTILE, profile(a_timeline(MIB)))
    return replace(shown, measured=profile(a_timeline(MIB)), measured_on=HOSTILE)


@pytest.mark.parametrize("name", TERMINALS)
def test_a_hostile_name_reaches_no_terminal(name: str) -> None:
    shown = plain(TERMINALS[name]())
    assert "Evil" in shown.replace("\n", "")
    assert not UNSEEN.search(shown)


def test_a_hostile_name_reaches_no_terminal_while_a_run_is_watched() -> None:
    for record in _local(HOSTILE):
        assert not UNSEEN.search(run_summary.describe_case(record))


PLOTS: dict[str, Callable[[], bytes | None]] = {
    "hybrid": lambda: hybrid_plot.draw(
        compared([*_local(HOSTILE, "decode"), *_endpoints(HOSTILE)]), _networks(HOSTILE)
    ),
    "cost": lambda: cost_plot.draw(_costs(HOSTILE)),
    "remote": lambda: remote_plot.draw(_endpoints(HOSTILE)),
    "profile": lambda: profile_plot.draw(_profiled()),
    "time_model": lambda: time_plot.draw(_evaluation(HOSTILE)),
}


@pytest.mark.parametrize("name", PLOTS)
def test_a_hostile_name_is_drawn_without_a_warning(name: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        image = PLOTS[name]()
    assert image is not None
    assert Image.open(io.BytesIO(image)).width <= 1600


def test_a_hostile_name_leaves_no_command_as_it_came(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    # given results in a folder, and a card, of a hostile name
    file = write_lines(tmp_path / "evil \x1b[31m.jsonl", [*_local(HOSTILE), *_endpoints(HOSTILE)], tail=b"{")
    out = ["--out", str(tmp_path / "reports")]
    # when each command that reads results prints them, or refuses them
    for arguments in (
        ["report", str(file), *out],
        ["hybrid", str(file), *out],
        ["cost", str(file), *out],
        ["docs", "render", str(file), "--operation", "encode"],
        ["docs", "render", str(file), "--operation", "decode"],
        *(["compare", str(file), str(file), "--format", form] for form in ("terminal", "markdown", "json")),
        ["compare", str(file), str(file), "--fail-on", "time>5%"],
        ["report", str(tmp_path / "\x1b[31m"), *out],
    ):
        main(arguments)
        said = capsys.readouterr()
        # then nothing that a terminal acts on is printed
        assert said.err or said.out
        assert not UNSEEN.search(said.out + said.err), arguments
