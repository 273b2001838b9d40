"""The dataset card (README.md): YAML for the hub's viewer, and a part that is written again at each push.

Keys and text that a person has added stay, outside the two marks.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from bench.core.units import format_count, one_line
from bench.errors import ResultsError
from bench.record import grouped
from bench.report.document import Block, Bullets, Column, Document, Section, Table, Text, table, table_of
from bench.report.export.dataset_columns import file_schema, stored_name
from bench.report.export.record_columns import LOADING, record_columns
from bench.report.render import markdown
from bench.sharing.hub.contents import Entry
from bench.sharing.hub.layout import PARQUET, RESULTS

LICENSE = "apache-2.0"
_BEGIN = "<!-- bench begin: `bench push` writes again what follows, up to the end mark -->"
_END = "<!-- bench end: text after this line stays -->"
#: As the hub finds it (huggingface_hub.repocard.REGEX_YAML_BLOCK).
_YAML = re.compile(r"^(\s*---(?:\r\n|\r|\n))([\S\s]*?)((?:\r\n|\r|\n)---[ \t]*(\r\n|\n|$))")
_PART = re.compile(rf"{re.escape(_BEGIN)}[\S\s]*?{re.escape(_END)}")
#: What a dataset has besides the columns of `bench export`.
_OTHER_COLUMNS = {
    "run_cases": "cases of the run's plan",
    "other_axes": "axes of the case that have no column of their own",
    "stages": "median time and peak of each stage, if the call has several",
    "key": "digest of what distinguishes records: case, device, identity, VRAM limit, kind and run",
    "record": "the whole record as JSON, as a line of a results file",
}
#: Tables longer than this make a page slow.
_MOST_DEVICES, _MOST_MODELS = 500, 12


def written(earlier: str, repository: str, entries: Mapping[str, Entry], license_id: str | None = None) -> str:
    """The card: the earlier one with its metadata and its marked part renewed, or a new one if that is empty.

    `license_id` replaces the licence; a card that has none gets LICENSE. Raises ResultsError for metadata that can't be
    read.
    """
    block = _YAML.match(earlier)
    metadata = _metadata(block[2] if block else "")
    body = earlier[block.end() :] if block else earlier
    metadata |= {"configs": _configs()}
    if license_id is not None or "license" not in metadata:
        metadata["license"] = license_id or LICENSE
    metadata.setdefault("pretty_name", f"Hybrid Bench: {repository}")
    metadata.setdefault("tags", ["benchmark", "diffusers", "hybrid-bench", "vae", "vram"])
    part = f"{_BEGIN}\n\n{markdown.render(_document(repository, list(entries.values())))}\n{_END}"
    body = _PART.sub(lambda _: part, body, count=1) if _PART.search(body) else f"{part}\n{_spaced(body)}"
    front = yaml.safe_dump(metadata, sort_keys=False, allow_unicode=True, width=120)
    return f"---\n{front}---\n{body}"


def _spaced(body: str) -> str:
    return f"\n{body.lstrip()}" if body.strip() else ""


def _metadata(text: str) -> dict[str, Any]:
    try:
        metadata = yaml.safe_load(text)
    except yaml.YAMLError:
        metadata = ""
    if metadata is None:
        return {}
    if not isinstance(metadata, dict):
        raise ResultsError(
            "The repository's README.md begins with metadata that is no mapping in YAML. Mend or delete it on the hub, "
            "then push again."
        )
    return dict(metadata)


def _configs() -> list[dict[str, Any]]:
    """What the viewer shows. All tables have one schema, and a folder for each device."""
    files = [{"split": "train", "path": f"{PARQUET}/*/*.parquet"}]
    return [{"config_name": "default", "data_files": files, "default": True}]


def _document(repository: str, entries: Sequence[Entry]) -> Document:
    records = sum(entry.records for entry in entries)
    counts = f"{format_count(records, 'record')} of {format_count(len(entries), 'run')}"
    return Document(
        f"Results of Hybrid Bench: {repository}",
        (
            Text(
                "What VAEs, text encoders and pipelines of diffusion models cost on a device, as Hybrid Bench measured "
                f"it: time and peak memory of each case. {counts}."
            ),
            Section("Devices", _devices(entries)),
            Section(
                "Files",
                (
                    Bullets(
                        (
                            f"`{RESULTS}/DEVICE/RUN.jsonl`: the records as they were written, one JSON line a case",
                            f"`{PARQUET}/device=DEVICE/RUN.parquet`: the same as a flat table, which the viewer shows",
                            f"`{RESULTS}/DEVICE/ceilings.json`, `workspaces.json`: what the device reaches at most",
                        )
                    ),
                    Text(f"`bench pull {repository}` brings the results into a folder, and `bench report` shows them."),
                ),
            ),
            Section(
                "Columns",
                (
                    Text("Times are in seconds, memory in bytes. Records that ran out of memory are results too."),
                    _columns(),
                ),
                folded=True,
            ),
        ),
    )


def _devices(entries: Sequence[Entry]) -> tuple[Block, ...]:
    groups = sorted(grouped(entries, lambda entry: entry.device), key=lambda group: group[0].device.lower())
    shown = table_of(
        groups[:_MOST_DEVICES],
        (Column("Device"), lambda group: one_line(group[0].device)),
        (Column("Runs", right=True), lambda group: f"{len(group):,}"),
        (Column("Records", right=True), lambda group: f"{sum(entry.records for entry in group):,}"),
        (Column("Last record"), lambda group: max(entry.last for entry in group)[:10]),
        (Column("Models", may_wrap=True), _models),
    )
    more = len(groups) - _MOST_DEVICES
    return (shown, Text(f"And {more:,} more devices.")) if more > 0 else (shown,)


def _models(group: Sequence[Entry]) -> str:
    names = sorted({name for entry in group for name in entry.models})
    more = len(names) - _MOST_MODELS
    return ", ".join(names[:_MOST_MODELS]) + (f" and {more:,} more" if more > 0 else "")


def _columns() -> Table:
    texts = _OTHER_COLUMNS | {stored_name(column.name): column.description for column in (*record_columns(), LOADING)}
    rows = [[field.name, str(field.type), texts.get(field.name, "")] for field in file_schema()]
    return table((Column("Column"), Column("Type"), Column("Meaning", may_wrap=True)), rows)
