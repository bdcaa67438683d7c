"""The naive twin of W-TinyLFU, and of the sketch and the hill climber it is made of."""

from __future__ import annotations

import math

MASK = 2**64 - 1


def mix(key: int) -> int:
    """The id of an integer key in a simulation: SplitMix64 (Steele, Lea & Flood, OOPSLA 2014)."""
    key = (key + 0x9E3779B97F4A7C15) & MASK
    key = (key ^ (key >> 30)) * 0xBF58476D1CE4E5B9 & MASK
    key = (key ^ (key >> 27)) * 0x94D049BB133111EB & MASK
    return key ^ (key >> 31)


class Chance:
    """xorshift64* (Vigna, ACM TOMS 42(4), 2016)."""

    def __init__(self, seed: int) -> None:
        self.state = max(1, mix(seed))

    def bits(self) -> int:
        self.state ^= self.state >> 12
        self.state ^= self.state << 25 & MASK
        self.state ^= self.state >> 27
        return self.state * 0x2545F4914F6CDD1D & MASK

    def draw(self) -> float:
        """Uniform in (0, 1]."""
        return ((self.bits() >> 11) + 1) / 2**53


class Sketch:
    """Four counters up to 15 for each id, one in each quarter of one of the blocks of 128 counters.

    The block is chosen by the low bits of the fingerprint, bits 16 to 47 of the id; the counters by the four bytes of
    that fingerprint, mixed: bit 0 of byte i selects one of the words 2 i and 2 i + 1, bits 1 to 4 a counter in it.
    Only the smallest of the four count an access. After sixteen additions per entry all counters are halved, and
    the sum of additions with them.
    """

    def __init__(self) -> None:
        self.blocks = [[0] * 128]
        self.entries = 1
        self.additions = 0

    def grow(self, entries: int) -> None:
        self.entries = max(self.entries, entries)
        while 128 * len(self.blocks) < 32 * entries:
            self.blocks += [list(block) for block in self.blocks]

    def counters(self, key: int) -> tuple[list[int], list[int]]:
        fingerprint = mix(key) >> 16 & 0xFFFFFFFF
        spread = fingerprint * 0x31848BAB & 0xFFFFFFFF
        spread ^= spread >> 14
        rows = [spread >> 8 * row for row in range(4)]
        places = [16 * (2 * row + (bits & 1)) + (bits >> 1 & 15) for row, bits in enumerate(rows)]
        return self.blocks[fingerprint % len(self.blocks)], places

    def estimate(self, key: int) -> int:
        block, places = self.counters(key)
        return min(block[place] for place in places)

    def count(self, key: int) -> None:
        block, places = self.counters(key)
        least = min(block[place] for place in places)
        if least < 15:
            self.additions += 1
            for place in places:
                block[place] = max(block[place], least + 1)
        if self.additions >= 16 * self.entries:
            self.halve()

    def halve(self) -> None:
        odd = sum(counter % 2 for block in self.blocks for counter in block)
        self.blocks = [[counter // 2 for counter in block] for block in self.blocks]
        self.additions = max(0, self.additions - odd // 4) // 2


class Climber:
    """Einziger, Eytan, Friedman & Manes, Middleware 2018, section 4."""

    def __init__(self, position: float, most: float) -> None:
        self.position = position
        self.most = most
        self.step = -0.0625
        self.hit_ratio = 0.0
        self.seen: list[bool] = []

    def observe(self, hit: bool, sample: int) -> None:
        self.seen.append(hit)
        if len(self.seen) < sample:
            return
        hit_ratio = sum(self.seen) / len(self.seen)
        change = hit_ratio - self.hit_ratio
        step = self.step if change >= 0 else -self.step
        self.position = min(max(self.position + step, 0.0), self.most)
        size = 0.0625 if abs(change) >= 0.05 else max(0.9 * abs(step), 0.0625 / 8)
        self.step = math.copysign(size, step)
        self.hit_ratio = hit_ratio
        self.seen = []


class TinyLfu:
    """Einziger, Friedman & Manes, TOS 2017; the window is climbed. `seed` starts the admissions by luck."""

    def __init__(self, capacity: int, seed: int) -> None:
        self.capacity = capacity
        self.probation_size = capacity // 5
        self.window: list[int] = []
        self.probation: list[int] = []
        self.protected: list[int] = []
        self.sketch = Sketch()
        self.climber = Climber(0.15, 1.0 - 1.0 / 5)
        self.chance = Chance(seed)
        self.full = False

    def access(self, key: int) -> bool:
        resident = len(self.window) + len(self.probation) + len(self.protected)
        hit = key in self.window or key in self.probation or key in self.protected
        self.sketch.count(key)
        if self.full:
            self.climber.observe(hit, 5 * resident)
        if hit:
            self.touch(key)
            return True
        if resident == self.capacity:
            self.evict()
            resident -= 1
        self.sketch.grow(resident + 1)
        self.window.append(key)
        return False

    def window_size(self) -> int:
        return max(1, int(self.capacity * self.climber.position))

    def touch(self, key: int) -> None:
        if key in self.window:
            self.window.remove(key)
            self.window.append(key)
        else:
            (self.probation if key in self.probation else self.protected).remove(key)
            self.protected.append(key)
        protected_size = max(0, self.capacity - self.window_size() - self.probation_size)
        while len(self.protected) > protected_size:
            self.probation.append(self.protected.pop(0))

    def evict(self) -> None:
        if not self.full and self.capacity <= 2000:
            self.climber.step = -self.climber.step
        self.full = True
        candidate = self.window[0] if len(self.window) >= self.window_size() else None
        while len(self.window) >= self.window_size():
            self.probation.append(self.window.pop(0))
        segment = self.probation or self.protected or self.window
        victim = segment[0]
        if candidate is not None and not self.prefers(candidate, victim):
            self.probation.remove(candidate)
        else:
            segment.pop(0)

    def prefers(self, candidate: int, victim: int) -> bool:
        frequency = self.sketch.estimate(candidate)
        return frequency > self.sketch.estimate(victim) or (frequency >= 6 and self.chance.draw() <= 1 / 128)
