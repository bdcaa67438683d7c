"""Naive twins: every policy once more, on plain lists, read from its paper and slow on purpose.

They are the exact specification, rules for ties included: at unit weights, and without deletions, the core must hit
where they hit. A list that holds keys holds the oldest first. `access` returns whether the key was there.
"""

from __future__ import annotations

from typing import Protocol

NEVER = 2**64 - 1


class Twin(Protocol):
    """A cache of keys."""

    def access(self, key: int) -> bool:
        """Accesses `key`, which is there from now on; returns whether it was there before."""


class Fifo:
    """Belady, IBM Sys. J. 5(2), 1966: the first to come is the first to leave."""

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self.queue: list[int] = []

    def access(self, key: int) -> bool:
        if key in self.queue:
            return True
        if len(self.queue) == self.capacity:
            self.queue.pop(0)
        self.queue.append(key)
        return False


class Lru:
    """Sleator & Tarjan, CACM 28(2), 1985: the one accessed longest ago leaves."""

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self.queue: list[int] = []

    def access(self, key: int) -> bool:
        hit = key in self.queue
        if hit:
            self.queue.remove(key)
        elif len(self.queue) == self.capacity:
            self.queue.pop(0)
        self.queue.append(key)
        return hit


class Lfu:
    """Shah, Mitra & Matani, 2010: the one with the fewest accesses leaves; among equals, the first to get there."""

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self.accesses: dict[int, tuple[int, int]] = {}  # key → (accesses since it came, time of the last)
        self.now = 0

    def access(self, key: int) -> bool:
        self.now += 1
        hit = key in self.accesses
        if not hit and len(self.accesses) == self.capacity:
            del self.accesses[min(self.accesses, key=self.accesses.__getitem__)]
        count, _ = self.accesses.get(key, (0, 0))
        self.accesses[key] = (count + 1, self.now)
        return hit


class Sieve:
    """Zhang et al., NSDI 2024, algorithm 1."""

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self.queue: list[int] = []
        self.visited: set[int] = set()
        self.hand = 0  # index into the queue; at its end it starts again from the oldest

    def access(self, key: int) -> bool:
        if key in self.queue:
            self.visited.add(key)
            return True
        if len(self.queue) == self.capacity:
            self.evict()
        self.queue.append(key)
        return False

    def evict(self) -> None:
        self.hand %= len(self.queue)
        while self.queue[self.hand] in self.visited:
            self.visited.remove(self.queue[self.hand])
            self.hand = (self.hand + 1) % len(self.queue)
        del self.queue[self.hand]
        if self.hand == len(self.queue):  # the newest left: what comes next is newer, but the sweep is over
            self.hand = 0


class S3Fifo:
    """Yang et al., SOSP 2023, algorithm 1, with the sizes and the order of evictions of the authors' libCacheSim."""

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self.small_size = max(1, capacity // 10)
        self.ghost_size = 9 * capacity // 10
        self.small: list[int] = []
        self.main: list[int] = []
        self.ghost: list[int] = []
        self.hits: dict[int, int] = {}
        self.has_evicted = False

    def access(self, key: int) -> bool:
        if key in self.hits:
            self.hits[key] = min(self.hits[key] + 1, 3)
            return True
        returning = key in self.ghost
        if returning:
            self.ghost.remove(key)
        if len(self.hits) == self.capacity:
            self.evict()
        overflow = len(self.small) >= self.small_size and not self.has_evicted
        (self.main if returning or overflow else self.small).append(key)
        self.hits[key] = 0
        return False

    def evict(self) -> None:
        self.has_evicted = True
        before = len(self.hits)
        if len(self.main) <= self.capacity - self.small_size:
            self.evict_small()
        if len(self.hits) == before:
            self.evict_main()

    def evict_small(self) -> None:
        while self.small:
            key = self.small.pop(0)
            if self.hits[key] < 2:
                del self.hits[key]
                self.ghost = [*self.ghost, key][-self.ghost_size :] if self.ghost_size else []
                return
            self.hits[key] = 0
            self.main.append(key)

    def evict_main(self) -> None:
        while self.hits[self.main[0]] > 0:
            key = self.main.pop(0)
            self.hits[key] -= 1
            self.main.append(key)
        del self.hits[self.main.pop(0)]


class Arc:
    """Megiddo & Modha, FAST 2003, figure 4, line by line."""

    def __init__(self, capacity: int) -> None:
        self.c = capacity
        self.p = 0.0
        self.t1: list[int] = []
        self.t2: list[int] = []
        self.b1: list[int] = []
        self.b2: list[int] = []

    def access(self, x: int) -> bool:
        for known in (self.t1, self.t2):  # case I
            if x in known:
                known.remove(x)
                self.t2.append(x)
                return True
        if x in self.b1:  # case II
            self.p = min(self.p + max(len(self.b2) / len(self.b1), 1.0), float(self.c))
            self.replace(x)
            self.b1.remove(x)
            self.t2.append(x)
        elif x in self.b2:  # case III
            self.p = max(self.p - max(len(self.b1) / len(self.b2), 1.0), 0.0)
            self.replace(x)
            self.b2.remove(x)
            self.t2.append(x)
        else:  # case IV
            self.make_room(x)
            self.t1.append(x)
        return False

    def make_room(self, x: int) -> None:
        total = len(self.t1) + len(self.t2) + len(self.b1) + len(self.b2)
        if len(self.t1) + len(self.b1) == self.c:
            if len(self.t1) < self.c:
                self.b1.pop(0)
                self.replace(x)
            else:
                self.t1.pop(0)
        elif total >= self.c:
            if total == 2 * self.c:
                self.b2.pop(0)
            self.replace(x)

    def replace(self, x: int) -> None:
        if self.t1 and (len(self.t1) > self.p or (x in self.b2 and len(self.t1) == self.p)):
            self.b1.append(self.t1.pop(0))
        else:
            self.b2.append(self.t2.pop(0))


class Lirs:
    """Jiang & Zhang, SIGMETRICS 2002, section 3; a stack of over two capacities forgets who left first."""

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self.low_size = capacity - max(1, capacity // 100)
        self.stack: list[int] = []
        self.queue: list[int] = []
        self.low: set[int] = set()
        self.departed: list[int] = []

    def access(self, key: int) -> bool:
        hit = key in self.low or key in self.queue
        was_stacked = key in self.stack
        if was_stacked:
            self.stack.remove(key)
        if not hit and len(self.low) + len(self.queue) == self.capacity:
            self.evict()
        self.stack.append(key)
        if key not in self.low:
            self.place(key, was_stacked or (not hit and len(self.low) < self.low_size))
        self.prune()
        while len(self.stack) > 2 * self.capacity and self.departed:
            self.stack.remove(self.departed.pop(0))
        return hit

    def place(self, key: int, is_low: bool) -> None:
        for known in (self.queue, self.departed):
            if key in known:
                known.remove(key)
        if not is_low:
            self.queue.append(key)
            return
        self.low.add(key)
        if len(self.low) > self.low_size:
            bottom = next(key for key in self.stack if key in self.low)
            self.stack.remove(bottom)
            self.low.remove(bottom)
            self.queue.append(bottom)

    def evict(self) -> None:
        key = self.queue.pop(0)
        if key in self.stack:
            self.departed.append(key)

    def prune(self) -> None:
        while self.low and self.stack[0] not in self.low:
            key = self.stack.pop(0)
            if key in self.departed:
                self.departed.remove(key)


class Min:
    """Belady, IBM Sys. J. 5(2), 1966: the one accessed farthest in the future leaves; `trace` is that future."""

    def __init__(self, capacity: int, trace: list[int]) -> None:
        self.capacity = capacity
        self.trace = trace
        self.now = 0
        self.resident: set[int] = set()

    def access(self, key: int) -> bool:
        self.now += 1
        hit = key in self.resident
        if not hit and len(self.resident) == self.capacity:
            self.resident.remove(max(self.resident, key=self.next_access))
        self.resident.add(key)
        return hit

    def next_access(self, key: int) -> int:
        try:
            return self.trace.index(key, self.now)
        except ValueError:
            return NEVER


class Foresight(Min):
    """The same, but the key that was asked for may be the one to leave, or rather not enter: no policy hits more."""

    def access(self, key: int) -> bool:
        self.now += 1
        hit = key in self.resident
        self.resident.add(key)
        if len(self.resident) > self.capacity:
            self.resident.remove(max(self.resident, key=self.next_access))
        return hit
