"""How the demo tells its story on a terminal."""

import time
from collections.abc import Sequence

from rich.console import Console
from rich.markup import escape
from rich.table import Table

_OUTCOMES = {"sent": "green", "capped": "yellow"}


class Story:
    """A teller; each line carries the seconds since the beginning. Safe for several threads."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._began = time.monotonic()

    @property
    def elapsed_s(self) -> float:
        """Return the seconds since the beginning."""
        return time.monotonic() - self._began

    def chapter(self, title: str) -> None:
        """Begin a chapter."""
        self._console.print()
        self._console.rule(f"[bold]{escape(title)}[/bold]", align="left")

    def tell(self, who: str, what: str, style: str = "cyan") -> None:
        """Say what somebody or something has just done."""
        when = f"[dim]{self.elapsed_s:5.1f} s[/dim]"
        self._console.print(
            f"{when}  [{style}]{escape(who):<18}[/{style}] {escape(what)}", soft_wrap=True
        )

    def table(self, title: str, heads: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """Show a table; the words of outcomes are coloured."""
        table = Table(title=title, title_justify="left", title_style="bold")
        for head in heads:
            table.add_column(head)
        for row in rows:
            table.add_row(*(_coloured(cell) for cell in row))
        self._console.print()
        self._console.print(table)

    def quote(self, text: str) -> None:
        """Show what a command printed."""
        self._console.print(escape(text.rstrip()), soft_wrap=True)

    def verdict(self, passed: Sequence[str], failed: Sequence[str]) -> None:
        """Say what held and what did not."""
        self._console.print()
        for each in passed:
            self._console.print(f"[green]ok[/green]    {escape(each)}", soft_wrap=True)
        for each in failed:
            self._console.print(f"[red]wrong[/red] {escape(each)}", soft_wrap=True)

    def end(self, text: str, *, is_good: bool) -> None:
        """Say the last word."""
        style = "bold green" if is_good else "bold red"
        self._console.print(f"[{style}]{escape(text)}[/{style}]", soft_wrap=True)


def _coloured(cell: str) -> str:
    style = _OUTCOMES.get(cell)
    return f"[{style}]{cell}[/{style}]" if style else escape(cell)
