"""A page in a browser, as the tests read and use it."""

from __future__ import annotations

from playwright.sync_api import Locator, Page

PHONE = {"width": 390, "height": 844}
#: What a page may read: itself, and what it made.
_OWN = ("file:", "data:", "blob:")


class Opened:
    """A page in the browser, with what it did that it should not have.

    Attributes:
        complaints: errors and warnings of the console, and exceptions.
        requests: addresses outside the file that it asked for.
    """

    def __init__(self, page: Page) -> None:
        self.page = page
        self.complaints: list[str] = []
        self.requests: list[str] = []
        page.on("console", lambda message: self._hear(message.type, message.text))
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("request", lambda request: self._see(request.url))

    def _hear(self, kind: str, text: str) -> None:
        if kind in {"error", "warning"}:
            self.complaints.append(text)

    def _see(self, address: str) -> None:
        if not address.startswith(_OWN):
            self.requests.append(address)

    def headline(self) -> str:
        """The recommendation in large letters."""
        return self.page.locator("#verdict .headline").inner_text()

    def fact(self, name: str) -> str:
        """A figure of the answer, with its kind."""
        return (
            self.page.locator(f"#verdict dl > div:has(dt:text-is('{name}')) dd")
            .inner_text()
            .replace("\N{NO-BREAK SPACE}", " ")
        )

    def choose(self, name: str, value: str) -> None:
        """Choose from one of the lists at the top."""
        self.page.locator(f"#choice select[name={name}]").select_option(value)

    def chosen(self, name: str) -> str:
        """What one of the lists at the top shows."""
        return self.page.locator(f"#choice select[name={name}]").input_value()

    def column(self, table: str, number: int) -> Locator:
        """The cells of a column, counted from 0, in the rows that are shown; `expect` waits for its texts."""
        return self.page.locator(f"{table} tbody tr > :nth-child({number + 1})")

    def cells(self, selector: str) -> list[list[str]]:
        """The texts of the rows of a table as they are now; a table that sorts or filters takes a while to."""
        texts = "rows => rows.map(row => [...row.cells].map(cell => cell.textContent.trim()))"
        rows: list[list[str]] = self.page.locator(selector).evaluate_all(texts)
        return rows

    def go(self, place: str) -> None:
        """Go to another address in the page, and wait until it has been read."""
        self.page.evaluate(
            """place => new Promise(done => {
                history.replaceState(null, "", "#");
                addEventListener("hashchange", () => done(), { once: true });
                location.hash = place;
            })""",
            place,
        )

    def wait_for_plots(self) -> None:
        """Wait until the plots show the last choice."""
        self.page.evaluate("() => drawing.then(() => null)")

    def unfold(self, selector: str) -> None:
        """Open a part of the page that may be folded."""
        self.page.locator(selector).evaluate("part => { part.open = true; }")

    def show_all_rows(self) -> None:
        """Take back what tests filtered and searched for."""
        self.page.evaluate(
            """() => document.querySelectorAll(".filters select, details.table input[type=search]").forEach(field => {
                if (!field.value) return;
                field.value = "";
                field.dispatchEvent(new Event(field.tagName === "SELECT" ? "change" : "input", { bubbles: true }));
            })"""
        )
