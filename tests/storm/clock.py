"""A wall clock that can be set, for processes that are started with it; other clocks are left alone.

A small library, built once with the C compiler, is loaded before all others, and adds to the wall clock what a file
says. Valkey and PostgreSQL know no other clock; forecache's proofs must not look at it.
"""

from __future__ import annotations

import os
import shutil
import struct
import subprocess
from pathlib import Path

__all__ = ["WallClock"]

SOURCE = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>
static const volatile long *offset;
__attribute__((constructor)) static void find(void) {
    const char *path = getenv("STORM_CLOCK");
    int file = path ? open(path, O_RDONLY) : -1;
    void *memory = file < 0 ? MAP_FAILED : mmap(0, sizeof *offset, PROT_READ, MAP_SHARED, file, 0);
    if (memory != MAP_FAILED) offset = memory;
}
static long now_off(void) { return offset ? *offset : 0; }
int clock_gettime(clockid_t which, struct timespec *at) {
    static int (*real)(clockid_t, struct timespec *);
    if (!real) real = dlsym(RTLD_NEXT, "clock_gettime");
    int result = real(which, at);
    if (!result && (which == CLOCK_REALTIME || which == CLOCK_REALTIME_COARSE)) at->tv_sec += now_off();
    return result;
}
int gettimeofday(struct timeval *restrict at, void *restrict zone) {
    struct timespec now;
    int result = clock_gettime(CLOCK_REALTIME, &now);
    (void)zone;
    at->tv_sec = now.tv_sec, at->tv_usec = now.tv_nsec / 1000;
    return result;
}
time_t time(time_t *at) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (at) *at = now.tv_sec;
    return now.tv_sec;
}
"""


class WallClock:
    """Of all processes that are started with `environment`."""

    def __init__(self, directory: Path) -> None:
        self.file, library = directory / "clock", directory / "clock.so"
        self.file.write_bytes(struct.pack("l", 0))
        compiler = shutil.which("cc") or shutil.which("gcc")
        self.can_be_set = compiler is not None
        if compiler:
            command = [compiler, "-shared", "-fPIC", "-O1", "-x", "c", "-", "-o", str(library), "-ldl"]
            subprocess.run(command, input=SOURCE, text=True, check=True, capture_output=True)
        for path in (directory, self.file, library):
            path.chmod(0o755)  # PostgreSQL is another user
        self.environment = dict(
            os.environ, **({"LD_PRELOAD": str(library)} if compiler else {}), STORM_CLOCK=str(self.file)
        )

    def jump(self, seconds: int) -> None:
        """From now on wall clocks are so far ahead of the machine's."""
        with self.file.open("r+b") as file:
            file.write(struct.pack("l", seconds))
