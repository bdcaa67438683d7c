"""A server whose log takes longer to reach the disk, as on network storage, by a library that is loaded before it.

PostgreSQL makes its log durable by `fdatasync`, and all else by `fsync`. Before each call of the former, the library
waits for a fixed time, and then lets the disk do its work.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from forecache.show.servers import PostgreSQL

__all__ = ["SECONDS", "NoCompilerError", "slow_disk"]

SECONDS = 0.002  # before each `fdatasync`

SOURCE = """
#define _GNU_SOURCE
#include <dlfcn.h>
#include <time.h>

int fdatasync(int file) {
  static int (*real)(int);
  struct timespec wait = {0, WAIT};
  if (!real) real = (int (*)(int))dlsym(RTLD_NEXT, "fdatasync");
  nanosleep(&wait, 0);
  return real(file);
}
"""


class NoCompilerError(RuntimeError):
    """The library cannot be made here."""


@contextmanager
def slow_disk() -> Iterator[PostgreSQL]:
    """A server that is not started yet, with `fsync` on.

    Raises:
        NoCompilerError: there is no C compiler, or it failed.
    """
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        raise NoCompilerError("no C compiler: apt-get install gcc libc6-dev")
    with tempfile.TemporaryDirectory(prefix="forecache-slow-") as name:
        directory = Path(name)
        directory.chmod(0o755)  # the server runs as another user
        library = directory / "slow.so"
        settings = ["-shared", "-fPIC", f"-DWAIT={round(SECONDS * 1e9)}L"]
        command = [compiler, *settings, "-x", "c", "-", "-o", str(library), "-ldl"]
        made = subprocess.run(command, input=SOURCE, text=True, capture_output=True, check=False)
        if made.returncode:
            raise NoCompilerError(f"{compiler} failed: {made.stderr.strip()[-200:]}")
        server = PostgreSQL(fsync="on", wal_sync_method="fdatasync")
        server.options["env"] = os.environ | {"LD_PRELOAD": str(library)}
        yield server
