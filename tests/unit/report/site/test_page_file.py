"""The page as a file: its size, its bytes, and what hostile or missing results make of it."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from typing import Any

import pytest
from endpoint_records import an_endpoint_record, facts, remote
from factories import a_case, a_device, a_run, an_environment, measured
from site_contents import CARDS, contents, records, verdicts

from bench.analysis.verdicts.questions import MOST_DEVICES, Card
from bench.errors import PackageError
from bench.report.site import index_page, libraries

#: The page may have 6 MB, of which the libraries take 2.2.
MOST_BYTES = 6_000_000
HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(2)><!--"


class Elements(HTMLParser):
    """The elements of a page with their attributes, and the text of its data."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.texts.append(data)

    def named(self, tag: str) -> list[dict[str, str | None]]:
        """The attributes of the elements of one name."""
        return [attributes for name, attributes in self.found if name == tag]


def page(**fields: Any) -> str:
    return index_page.render(contents(**fields)).decode()


def data_of(text: str) -> dict[str, Any]:
    """The page's data."""
    match = re.search(r'<script type="application/json" id="data">(.*?)</script>', text, re.DOTALL)
    assert match
    data: dict[str, Any] = json.loads(match.group(1))
    return data


def test_the_page_is_one_small_file_that_names_no_other() -> None:
    text = page()

    elements = Elements(text)
    assert len(text.encode()) < MOST_BYTES
    assert not [attributes for attributes in elements.named("script") if "src" in attributes]
    assert not elements.named("link")
    assert not elements.named("img")
    assert all((link["href"] or "").startswith("#") for link in elements.named("a"))


def test_the_same_results_make_the_same_bytes() -> None:
    assert page() == page()


def test_another_figure_changes_only_its_own_lines() -> None:
    own = records()
    other = [*own[:-1], an_endpoint_record(0.07)]

    before, after = (index_page.render(contents(own=each)).decode().splitlines() for each in (own, other))

    changed = [line for line, now in zip(before, after, strict=True) if line != now]
    assert 0 < len(changed) <= 2
    assert all("loopback on Test CPU" in line for line in changed)


@pytest.mark.parametrize("place", ["device", "model", "warning", "config", "package", "endpoint", "commit"])
def test_markup_in_results_stays_text(place: str) -> None:
    device = a_device(name=HOSTILE) if place == "device" else a_device()
    environment = an_environment(host_cpu=HOSTILE if place == "package" else "Test CPU")
    environment = environment.model_copy(update={"project_commit": HOSTILE}) if place == "commit" else environment
    record = measured(
        case=a_case(model=HOSTILE if place == "model" else "sdxl"),
        device=device,
        run=a_run(config=HOSTILE if place == "config" else "test"),
        environment=environment,
        warnings=(HOSTILE,) if place == "warning" else (),
    )
    endpoint = an_endpoint_record(device=a_device(kind="endpoint", name=HOSTILE, total_bytes=None))
    clean = Elements(page())

    hostile = Elements(page(own=[*records(), record, *([endpoint] if place == "endpoint" else [])]))

    assert "alert(2)" in "".join(hostile.texts)
    assert len(hostile.named("script")) == len(clean.named("script"))
    assert not hostile.named("img")


def test_a_card_s_name_can_not_turn_the_page_s_text_around() -> None:
    # given a GPU whose name holds letters that turn the direction of text
    name = "NVIDIA \u202eXTR\u202c \u2066\u200bx"
    device, known = a_device(name=name), verdicts()
    own = replace(known.cards[0], name=name, is_device=True, memory_bytes=device.total_bytes)
    hostile = replace(
        known,
        cards=(own, *known.cards[1:]),
        questions=tuple(
            replace(each, remote={key: replace(remote, by=name) for key, remote in each.remote.items()})
            for each in known.questions
        ),
    )
    # when
    text = page(own=[measured(device=device)], verdicts=hostile)
    # then
    assert not {"\u202e", "\u202c", "\u2066", "\u200b"} & set(json.dumps(data_of(text), ensure_ascii=False))
    assert data_of(text)["verdicts"]["cards"][0]["name"] == data_of(text)["usual"]["card"]


def test_the_password_in_an_address_is_not_on_the_page() -> None:
    address = "https://me:hunter2@example.test/vae?token=hunter2"
    names = (address, "mine")
    endpoints = [
        an_endpoint_record(
            device=a_device(kind="endpoint", name=name, total_bytes=None),
            remote=remote(0.05, endpoint=facts(url=address)),
            warnings=(f"{address} was slow",),
        )
        for name in names
    ]

    text = page(own=endpoints)

    assert "example.test" in text
    assert "hunter2" not in text


def test_without_results_of_its_own_the_page_says_how_to_get_some() -> None:
    text = page(own=[record for record in records() if record.kind == "published"])

    assert 'id="nothing-measured"' in text
    assert data_of(text)["verdicts"]["questions"]
    assert 'id="nothing-measured"' not in page()


def test_without_any_results_there_is_a_page() -> None:
    data = data_of(page(own=[], verdicts=None))
    assert data["verdicts"] is None
    assert data["rows"] == {"measured": [], "published": [], "endpoints": []}


def test_without_verdicts_the_page_names_the_command_that_makes_them() -> None:
    assert 'id="no-verdicts"' in page(verdicts=None)
    assert 'id="no-verdicts"' not in page()


def test_the_gpu_that_was_measured_last_is_shown_first() -> None:
    gpu = a_device(name="NVIDIA GeForce RTX 4090", total_bytes=25_386_477_944)
    assert data_of(page())["usual"]["card"] is None
    assert data_of(page(own=[*records(), measured(device=gpu)]))["usual"]["card"] == "NVIDIA GeForce RTX 4090"


def test_thousands_of_devices_make_a_page_that_can_be_loaded() -> None:
    devices = tuple(Card(f"Test {number}", 2**33, is_device=True) for number in range(2_000))
    answers = replace(verdicts(), cards=(*CARDS, *devices))

    text = page(verdicts=answers)

    assert len(text.encode()) < MOST_BYTES
    assert len(data_of(text)["verdicts"]["cards"]) == len(CARDS) - 1 + MOST_DEVICES


def test_rows_beyond_what_can_be_loaded_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(index_page.record_rows.measured, "__defaults__", (3,))
    own = [measured(device=a_device(name=name), case=a_case(size=size)) for name in "AB" for size in (64, 128)]

    text = page(own=own)

    assert sum(len(rows) for *_, rows in data_of(text)["rows"]["measured"]) == 2
    assert "1 more device is not on this page" in text


@pytest.mark.parametrize(("count", "folded"), [(6, 0), (8, 2)])
def test_more_than_a_few_machines_are_folded(count: int, folded: int) -> None:
    own = [measured(device=a_device(name=f"Test {number}")) for number in range(count)]

    shown, _, hidden = page(own=own).partition('<details class="machines">')

    assert (shown.count('<article class="machine">'), hidden.count('<article class="machine">')) == (
        count - folded,
        folded,
    )


@pytest.mark.parametrize("package", ["itables", "bokeh"])
def test_a_missing_library_is_named_with_the_command_that_installs_it(
    package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = libraries.find_spec
    monkeypatch.setattr(libraries, "find_spec", lambda name: None if name == package else known(name))

    with pytest.raises(PackageError, match=f"pip install {package}"):
        page()
