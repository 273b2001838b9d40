"""Local against remote, and costs, of a text encoder: what its pages say that those of images do not."""

from __future__ import annotations

from factories import a_device, measured, out_of_memory, published
from sides import NETWORKS, compared, prices
from ways import IMAGE, a_place, a_way, away

from bench.analysis.advise import reasons, remote_way
from bench.analysis.advise.ranking import rank
from bench.analysis.advise.times import Time
from bench.analysis.cost.image_costs import Costs, compare
from bench.analysis.hybrid.local_or_remote import Comparison
from bench.record import Axes, Case, Record
from bench.report.pages import advice_page, cost_page, hybrid_page, measured_page
from bench.report.plots import hybrid_plot
from bench.report.render import console, markdown
from bench.workloads import models

SERVER, MINE = a_device(name="NVIDIA Test", total_bytes=None), a_device(name="NVIDIA Mine", total_bytes=None)


def a_text_case(batch: int = 1) -> Case:
    """Prompts to FLUX.2's encoder."""
    axes = Axes({"tokens": 512, "batch": batch})
    return Case(model="mistral-small-24b", operation="encode-text", axes=axes, dtype="bfloat16")


def records() -> list[Record]:
    """One card that takes 0.1 s for a prompt, one that takes 1 s, and one on which it does not fit."""
    small = a_device(name="NVIDIA Small", total_bytes=None)
    return [
        measured(0.1, device=SERVER, case=a_text_case()),
        measured(0.3, device=SERVER, case=a_text_case(batch=4)),
        measured(1.0, device=MINE, case=a_text_case()),
        out_of_memory(device=small, case=a_text_case()),
    ]


def comparison() -> Comparison:
    return compared(records(), server="NVIDIA Test")


def costs() -> Costs:
    return compare(records(), comparison(), prices(), (100.0,))


def test_a_prompt_s_embeddings_are_what_travels() -> None:
    image = comparison().remote_images[0]
    assert image.service is not None
    assert image.service.transport == "tensor"
    assert image.service.received_bytes == 15_728_640
    # 80 Mbit/s down: 1.57 s, the segments' headers, and the slow start over 100 ms
    assert 1.57 < image.over["far"].download_s < 2.5
    assert image.service.compute_s == image.service.off_network_s == 0.1


def test_the_page_says_that_bandwidth_decides() -> None:
    far = {"far": NETWORKS["far"]}
    page = hybrid_page.page(comparison(), NETWORKS, records())
    assert "Bandwidth decides" not in markdown.render(page)  # 8 Gbit/s carry it in 16 ms
    slow = compared(records(), server="NVIDIA Test", paths={"far": NETWORKS["far"].path})
    text = markdown.render(hybrid_page.page(slow, far, records()))
    assert "Bandwidth decides: at 512 tokens over far, carrying 15.7 MB takes" in text


def test_advice_says_what_the_remote_way_carries() -> None:
    slow = compared(records(), server="NVIDIA Test", paths={"far": NETWORKS["far"].path})
    case = a_text_case()
    simulated = remote_way.of(slow.remote_images[0], slow.request)
    predicted = remote_way.predicted(case, Time(0.1, "predicted"), "NVIDIA Big", slow.request)
    assert predicted is not None
    for way in (simulated, predicted):
        assert (way.carried_bytes or 0) > 15_728_640
        assert "mostly carrying 15.7 MB" in reasons.remote_reason(way, None)
    near = comparison()
    assert remote_way.of(near.remote_images[0], near.request).carried_bytes is None


def test_a_model_without_tiles_has_one_local_way() -> None:
    rows = {row.label: row for row in comparison().rows if row.case.axes["batch"] == 1}
    assert rows["NVIDIA Mine"].fastest is not None
    assert rows["NVIDIA Test"].fastest is not None
    assert rows["NVIDIA Test"].fastest.way == "local"
    assert rows["NVIDIA Mine"].fastest.way == "remote"
    assert rows["NVIDIA Small"].only_remote_fits
    text = markdown.render(hybrid_page.page(comparison(), NETWORKS, records()))
    assert "| Size | Local | Memory | Remote over" in text
    assert "512 tokens, batch 4" in text
    assert "Queueing" not in text
    assert "iled" not in text.partition("## Legend")[0]


def test_a_figure_over_resolutions_has_no_prompts() -> None:
    assert hybrid_plot.draw(comparison(), NETWORKS) is None


def test_costs_are_of_1_000_prompts() -> None:
    single, four = costs().images
    assert (single.output.unit, single.output.count, single.video) == ("prompt", 1, None)
    assert four.output.count == 4
    rented = {image.case.axes["batch"]: image.local[1].cost for image in (single, four)}
    assert rented[1] is not None
    assert rented[4] is not None
    assert (rented[1].seconds, rented[4].seconds) == (0.1, 0.3 / 4)
    text = markdown.render(cost_page.page(costs()))
    assert "for prompts" in text
    assert any("for 1,000 prompts" in line for line in cost_page.summary(costs()))


def test_advice_on_prompts_speaks_of_embeddings_and_of_no_tiles() -> None:
    # Given a text encoder's ways, and an image's
    ways = [a_way(0, None, case=a_text_case()), a_way(1, 1.0, case=a_text_case())]
    prompt, picture = (
        rank(a_text_case(), a_place(), ways, away(2.0)),
        rank(IMAGE, a_place(), [a_way(1, 1.0)], away(2.0)),
    )
    # When they are printed
    text, of_image = (console.render(advice_page.terminal([each], None, NETWORKS)) for each in (prompt, picture))
    # Then the words are those of what is computed
    assert "changes the embeddings least" in text
    assert "picture" not in text
    assert "an image from end to end" not in text
    assert "Tiles are edge/overlap in pixels" not in text
    assert "Tiles are edge/overlap in pixels" in of_image


def test_figures_that_the_docs_do_not_print_are_not_said_to_be_theirs() -> None:
    figure = published(case=a_text_case(), device=a_device(name="NVIDIA Test", total_bytes=None), assumed=("dtype",))
    (_, legend) = markdown.render(measured_page.page(models.workload("clip-l"), "encode-text", [figure])).split(
        "## Legend"
    )
    assert "the docs print" not in legend
    assert "They do not state dtype: assumed" in legend
