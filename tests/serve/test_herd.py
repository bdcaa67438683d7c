"""Five hundred clients of one cold row, in threads and tasks of several processes, cost the database one load."""

from __future__ import annotations

import subprocess
import sys

import psycopg

from tests.servers import PostgreSQL, Valkey

PROCESSES = ["tasks", "threads", "tasks", "threads"]
CLIENTS = 125  # of each
TRIES = 5  # a machine that is busy may leave who loads without a turn for longer than others wait for him


def test_five_hundred_clients_of_a_cold_row_in_four_processes_are_one_load(postgresql: PostgreSQL) -> None:
    url = postgresql.database()
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("CREATE TABLE product (id INT PRIMARY KEY)")
        connection.execute("INSERT INTO product SELECT * FROM generate_series(0, 10)")
    with Valkey() as tier:
        command = [sys.executable, "-m", "tests.serve.herd", url, tier.url]
        herd = [
            subprocess.Popen([*command, kind, str(CLIENTS)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
            for kind in PROCESSES
        ]
        loads = []
        for key in range(1, 1 + TRIES):
            for process in herd:
                assert process.stdin
                process.stdin.write(f"{key}\n")
                process.stdin.flush()
            loads.append(sum(int(process.stdout.readline()) for process in herd if process.stdout))
            if loads[-1] == 1:
                break
        for process in herd:
            process.communicate()
        assert [process.returncode for process in herd] == [0] * len(herd)
        assert max(loads) <= len(PROCESSES), "each process loads once, whatever happens"
        assert min(loads) == 1, loads
