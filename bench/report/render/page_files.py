"""A document as the files of one format: a page of markdown, HTML or JSON, or one CSV file for each table."""

from __future__ import annotations

from bench.report.document import Document
from bench.report.render import csv_tables, html_page, json_text, markdown, short_pages

_PAGES = {"html": (".html", html_page.render), "json": (".json", json_text.render)}


def render(stem: str, document: Document, form: str, *, whole: bool = False) -> dict[str, bytes]:
    """The files of a document by name, as markdown, html, json or csv; `stem` is the page's name, such as `hybrid`.

    A page of markdown is short unless it is to be `whole`: it leaves out details, which the other formats have.
    """
    if form == "csv":
        files = csv_tables.render(stem, document)
    elif form == "markdown":
        files = {f"{stem}.md": markdown.render(document if whole else short_pages.shortened(document))}
    else:
        ending, render_page = _PAGES[form]
        files = {f"{stem}{ending}": render_page(document)}
    return {name: text.encode() for name, text in files.items()}
