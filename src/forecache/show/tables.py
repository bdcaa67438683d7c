"""Tables: what was found, in columns for people."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from forecache import _core
from forecache.extras import extra
from forecache.record.trace import Op, Trace
from forecache.serve.settings import DEFAULT_POLICY
from forecache.show.findings import NO_CACHE, Outcome, Run
from forecache.study.simulate import BASELINE, BOUND, Row, gap_closed
from forecache.units import format_size

with extra("cli"):
    from rich import box
    from rich.table import Table

__all__ = ["demo_table", "head_table", "simulation_table", "stats_table"]

MILLION: Final = 1e6
MICRO: Final = 1e6  # microseconds in a second
FORESIGHT: Final = (
    f"{BOUND} knows the future: it is the most that policies could reach. It runs in a bare store, "
    "so its misses lack what a cache does to load each key once however many ask."
)
HEURISTIC: Final = f"With sizes, {BOUND} is a heuristic, not a bound: a policy that prefers small entries may hit more."
DEFAULT: Final = "* is the default policy of a cache."
TIMES: Final = (
    "Times are of reads: from the request to its answer. The database is a file on this machine, and what misses "
    "are the rows that it reads slowest; over a network each query that is not saved costs a round trip more."
)
SPEED: Final = "Mreq/s: millions of requests that one core replays in a second."
GAP: Final = f"Gap closed: 0 % is {BASELINE}, 100 % is {BOUND}."


def simulation_table(rows: Sequence[Row], *, has_sizes: bool) -> Table:
    """Rows of one trace, by capacity; the best online policy of each capacity stands out."""
    table = new_table(f"{rows[0].trace}: {rows[0].accesses:,} accesses", ["capacity", "policy"])
    for column in ("hit ratio", "byte hit ratio", "gap closed", "Mreq/s"):
        table.add_column(column, justify="right", no_wrap=True)
    last = None
    for row, gap in zip(rows, gap_closed(rows), strict=True):
        if last is not None and row.capacity_spec != last.capacity_spec:
            table.add_section()
        first = last is None or row.capacity_spec != last.capacity_spec
        table.add_row(
            capacity_name(row) if first else "",
            row.policy,
            percent(row.hit_ratio),
            percent(row.byte_hit_ratio if has_sizes else None),
            percent(gap, digits=1),
            f"{row.accesses / row.seconds / MILLION:,.2f}" if row.seconds else "-",
            style="bold" if row is best_online([other for other in rows if same_capacity(other, row)]) else None,
        )
        last = row
    policies = {row.policy for row in rows}
    notes = [GAP] if {BASELINE, BOUND} <= policies else []
    notes += [SPEED]
    notes += [HEURISTIC] if BOUND in policies and rows[0].weights == "size" else []
    table.caption = "\n".join(notes)
    return table


def same_capacity(row: Row, other: Row) -> bool:
    """Whether two rows are about one capacity."""
    return row.capacity_spec == other.capacity_spec


def best_online(rows: Sequence[Row]) -> Row | None:
    """The row with most hits among policies that need not know the future, if there are two to choose from."""
    online = [row for row in rows if row.policy in _core.POLICIES]
    return max(online, key=lambda row: row.hits) if len(online) > 1 else None


def capacity_name(row: Row) -> str:
    """A capacity as it was asked for, and what it is."""
    amount = format_size(row.capacity) if row.weights == "size" else f"{row.capacity:,}"
    return amount if row.capacity_spec in {amount, str(row.capacity)} else f"{row.capacity_spec} = {amount}"


def demo_table(outcome: Outcome) -> Table:
    """A line for each run, from the fewest hits to the most; the default policy of a cache stands out."""
    demo = outcome.demo
    count = len(demo.trace) - outcome.runs[0].reads
    writes = f", {count:,} writes" if count else ""
    table = new_table(
        f"{demo.trace.name}: {len(demo.trace):,} requests for {demo.trace.unique:,} keys{writes}; "
        f"room for {demo.capacity:,} ({demo.capacity_spec})",
        ["policy"],
    )
    for column in ("hit ratio", "gap closed", "queries", "saved", "mean µs", "p50 µs", "p99 µs"):
        table.add_column(column, justify="right", no_wrap=True)
    for run in sorted(outcome.runs, key=lambda run: (run.policy is not None, run.hits)):
        table.add_row(
            policy_name(run),
            percent(run.hit_ratio if run.policy else None, digits=1),
            percent(outcome.gap_closed(run), digits=1),
            f"{run.queries:,}",
            f"{run.hits:,}" if run.policy else "-",
            *(f"{seconds * MICRO:,.1f}" for seconds in run.read_seconds),
            style="bold green" if run.policy == DEFAULT_POLICY else None,
        )
    notes = [GAP, FORESIGHT] if outcome.run_of(BASELINE) and outcome.run_of(BOUND) else []
    notes += [DEFAULT] if outcome.run_of(DEFAULT_POLICY) else []
    table.caption = "\n".join([*notes, TIMES])
    return table


def policy_name(run: Run) -> str:
    """What the table calls a run; a star marks the default policy where colours do not show."""
    return f"{run.policy} *" if run.policy == DEFAULT_POLICY else run.policy or NO_CACHE


def stats_table(trace: Trace) -> Table:
    """What a trace holds."""
    table = new_table(trace.name, ["", ""])
    table.show_header = False
    table.columns[1].justify, table.columns[1].no_wrap, table.columns[1].overflow = "right", False, "fold"
    for label, value in trace.stats().rows():
        table.add_row(label, value)
    for label in ("source", "domain", "licence"):
        if label in trace.metadata:
            table.add_row(label, str(trace.metadata[label]))
    return table


def head_table(trace: Trace) -> Table:
    """Accesses, one a line."""
    table = new_table(trace.name, [])
    for column in ("time", "key", "size", "op"):
        table.add_column(column, justify="right")
    for row in head_rows(trace):
        table.add_row(*(str(value) for value in row.values()))
    return table


def head_rows(trace: Trace) -> list[dict[str, int | str]]:
    """Accesses by column, as JSON can hold them."""
    columns = (trace.time.tolist(), trace.key.tolist(), trace.size.tolist(), trace.op.tolist())
    return [
        {"time": time, "key": key, "size": size, "op": Op(op).name.lower()}
        for time, key, size, op in zip(*columns, strict=True)
    ]


def new_table(title: str, columns: Sequence[str]) -> Table:
    """An empty table with columns of text."""
    table = Table(
        title=title,
        title_justify="left",
        title_style="bold",
        caption_justify="left",
        box=box.SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
    )
    for column in columns:
        table.add_column(column, no_wrap=True)
    return table


def percent(ratio: float | None, *, digits: int = 2) -> str:
    """A ratio in percent, or a dash where there is none."""
    return "-" if ratio is None else f"{ratio + 0.0:.{digits}%}".replace("-0.0%", "0.0%")
