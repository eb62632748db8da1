"""What one sees while a load runs: a table that renews itself on a terminal, else nothing."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

from rich.console import Console
from rich.live import Live
from rich.table import Table

from scripts.load.clients import Clients
from scripts.load.report import number
from scripts.load.serving import Watch


@contextlib.contextmanager
def live(name: str, clients: Clients, watch: Watch) -> Iterator[Callable[[], None]]:
    """Give what renews the table; on stderr, so that the report can be piped."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield lambda: None
        return
    with Live(console=console, auto_refresh=False, transient=True) as shown:
        yield lambda: shown.update(_table(name, clients, watch), refresh=True)


def _table(name: str, clients: Clients, watch: Watch) -> Table:
    table = Table(title=f"load: {name}", show_header=False)
    if moments := clients.moments():
        now = moments[-1]
        table.add_row("virtual users", number(now.users))
        table.add_row("requests, errors a second", f"{number(now.rate)}, {number(now.failures)}")
        times = (number(it) for it in (now.p50_s, now.p95_s, now.p99_s))
        table.add_row("p50, p95, p99 of 10 s", ", ".join(times) + " s")
    if len(watch.samples) > 1:
        before, now_taken = watch.samples[-2:]
        cores = (now_taken.cpu_s - before.cpu_s) / max(now_taken.at_s - before.at_s, 1e-9)
        table.add_row("service: cores", number(cores))
        table.add_row("service: memory", f"{number(now_taken.rss / 2**20)} MiB")
        table.add_row("service: open files, threads", f"{now_taken.files}, {now_taken.threads}")
        table.add_row("service: results stored", number(now_taken.results))
    return table
