"""The flat table as a file: CSV for spreadsheets and any program, Parquet with types, units and descriptions."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

from bench.record.stored import MOMENT
from bench.report.export.record_columns import record_columns
from bench.report.render.csv_tables import plain_text

if TYPE_CHECKING:
    import pandas as pd


def to_csv(frame: pd.DataFrame) -> bytes:
    """The table in UTF-8, with a header and an empty field for what is missing. Floats have all their digits.

    A text that a spreadsheet would run as a formula begins with an apostrophe.
    """
    plain = frame.copy()
    texts: list[str] = frame.select_dtypes("string").columns.tolist()
    for name in texts:
        plain[name] = frame[name].map(plain_text, na_action="ignore")
    return plain.to_csv(index=False, lineterminator="\n", date_format=MOMENT).encode()


def to_parquet(frame: pd.DataFrame) -> bytes:
    """The table as Parquet, each field with its description. Needs pyarrow, which the caller asks for first."""
    import pyarrow as pa  # noqa: PLC0415 - of the extra `parquet`
    from pyarrow import parquet  # noqa: PLC0415

    texts = {column.name: column.description for column in record_columns()}
    table = pa.Table.from_pandas(frame, preserve_index=False)
    fields = [field.with_metadata({"description": texts.get(field.name, "")}) for field in table.schema]
    buffer = io.BytesIO()
    parquet.write_table(table.cast(pa.schema(fields, metadata=table.schema.metadata)), buffer)
    return buffer.getvalue()
