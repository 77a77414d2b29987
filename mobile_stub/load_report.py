"""What a load shows on a terminal: how far it is, and at the end how long the answers took."""

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from mobile_stub.load import Plan, Tally, play

_BOUNDS_MS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000)
_BAR_WIDTH = 40
_PERCENTILES = (50, 90, 99)


def main(plan: Plan, console: Console) -> int:
    """Play a load and show it; 0 says that every request was answered with a 2xx."""
    with Progress(
        TextColumn("{task.completed}/{task.total}"),
        BarColumn(),
        TextColumn("{task.fields[failed]} failed"),
        TimeRemainingColumn(),
        console=console,
        disable=not console.is_terminal,
    ) as progress:
        task = progress.add_task("load", total=plan.total, failed=0)
        tally = play(
            plan,
            lambda now: progress.update(task, completed=now.answered, failed=now.failed),
        )
    show(plan, tally, console)
    return 1 if tally.failed else 0


def show(plan: Plan, tally: Tally, console: Console) -> None:
    """Print the outcomes, the histogram and the percentiles."""
    rate = tally.answered / tally.elapsed_s if tally.elapsed_s else 0.0
    console.print(
        f"{plan.devices} {plan.client} devices, {tally.answered} of {plan.total} requests ended "
        f"in {tally.elapsed_s:.1f} s: {rate:.1f} per second"
    )
    statuses = Table("status", "count", title="Answers", title_justify="left")
    for outcome, count in sorted(tally.outcomes.items()):
        statuses.add_row(outcome, str(count))
    if tally.unsent:
        statuses.add_row("not sent in time", str(tally.unsent))
    if tally.warned:
        statuses.add_row("of them with warnings", str(tally.warned))
    console.print(statuses)
    for title, words in (("Refused", tally.refusals), ("Warned", tally.warnings)):
        for said, count in words.most_common():
            console.print(f"{title} ({count}): {said}", markup=False)
    if not tally.latencies_ms:
        return
    latency = Table("up to ms", "count", "", title="Latency", title_justify="left")
    counts = histogram(tally.latencies_ms)
    most = max(counts.values())
    for bound, count in counts.items():
        latency.add_row(bound, str(count), "█" * round(count / most * _BAR_WIDTH))
    console.print(latency)
    named = [f"p{percent} {tally.percentile_ms(percent):.1f}" for percent in _PERCENTILES]
    console.print("  ".join([*named, f"max {max(tally.latencies_ms):.1f} ms"]))


def histogram(latencies_ms: list[float]) -> dict[str, int]:
    """Return how many latencies lie under each bound and above the one before."""
    counts = dict.fromkeys([*map(str, _BOUNDS_MS), "more"], 0)
    for latency in latencies_ms:
        bound = next((each for each in _BOUNDS_MS if latency <= each), None)
        counts["more" if bound is None else str(bound)] += 1
    used = [name for name, count in counts.items() if count]
    names = list(counts)
    first, last = names.index(used[0]), names.index(used[-1])
    return {name: counts[name] for name in names[first : last + 1]}
