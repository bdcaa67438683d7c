"""An online school: a calendar of weekly units, deadlines, cohorts of learners, exercises, and videos in segments."""

from __future__ import annotations

from typing import Final

from forecache.extras import TRACES, extra
from forecache.study.workloads.pieces import (
    DAY,
    HOUR,
    Event,
    Floats,
    Ints,
    Workload,
    check_requests,
    chosen,
    daily,
    hour_starts,
    of_pareto,
    seconds_in,
    traced,
    with_returns,
)

with extra(TRACES):
    import numpy as np

__all__ = ["school"]

WEEKS: Final = 4
WEEK: Final = 7 * DAY  # hours
BUSIEST_HOUR: Final = 16  # of the day
RUSH: Final = 0.95  # to the third power: a tutor's recorded day is nearly all in its busiest eight hours
DEADLINE: Final = 6 * DAY + 22  # hour of the week at which a unit's exercises are due
HASTE: Final = 3.0  # traffic shortly before a deadline is 1 + HASTE times as much
HASTE_MEMORY: Final = 14  # hours before the deadline at which that is down to 1/e

REQUESTS_PER_COURSE: Final = 20_000
COURSE_EXPONENT: Final = 0.6  # size of a cohort ~ rank^-a
ITEMS: Final = 2_000  # exercises of a unit, most of them hardly ever asked for
ITEM_EXPONENT: Final = 0.9  # how unevenly: a cohort works on much the same
SKILLS: Final = 12  # of a unit, whose state is kept for each learner
REQUESTS_PER_LEARNER: Final = 400
REVIEW: Final = 0.2  # share of requests that go to an earlier unit
RETURNS: Final = 0.62  # share of steps on the exercise that was worked on shortly before
RETURN_DISTANCE: Final = 60  # steps from one to the next on it, on average: others work at the same time

VIDEO: Final = 0.3  # share of requests that are for segments of videos
VIDEOS: Final = 5  # of a unit
SEGMENTS: Final = 72  # of a video: 12 minutes in segments of 10 seconds
GOES_ON: Final = 0.981  # chance that a segment is followed by the next one: half of the viewers leave within 36
SEGMENT_BYTES: Final = 375_000  # of 10 s at 300 kbit/s, both among those of Lederer et al., MMSys 2012
SEGMENT_SPREAD: Final = 0.35  # standard deviation of the logarithm


def school(requests: int, *, courses: int | None = None, seed: int = 0) -> Workload:
    """Four weeks of an online school: exercises, the state of their learners, and videos.

    A step on an exercise reads the item, and writes what the learner is now thought to know of its skill, as an
    intelligent tutor does. A viewer reads a video's segments one after the other, and leaves at some point: half of
    them within about six minutes, whatever the length (Guo, Kim & Rubin, "How video production affects student
    engagement", L@S 2014). Most requests are for the unit of the week; traffic rises towards its deadline.

    Args:
        requests: accesses, at least 1000.
        courses: that are given; by default one for 20,000 requests, and at least two.
        seed: of every random choice.

    Returns:
        Accesses whose time is in seconds since the first midnight; with the deadlines as events.

    Raises:
        ConfigurationError: there are too few requests.
    """
    check_requests(requests, "a school")
    count = max(2, requests // REQUESTS_PER_COURSE) if courses is None else courses
    chance = np.random.default_rng(seed)
    starts = hour_starts(rates(), requests)
    seconds = seconds_in(starts, chance)
    is_video = np.zeros(requests, dtype=bool)
    is_video[chance.random(requests) < VIDEO] = True
    cohort = (np.arange(count) + 1.0) ** -COURSE_EXPONENT
    course = chosen(cohort, requests, chance)
    unit = units(seconds, chance)
    key, written = np.empty(requests, np.int64), np.zeros(requests, dtype=bool)
    steps = np.flatnonzero(~is_video)
    key[steps], written[steps] = exercises(course[steps] * WEEKS + unit[steps], cohort, requests, chance)
    views = np.flatnonzero(is_video)
    key[views] = videos(course[views] * WEEKS + unit[views], chance)
    size = of_pareto(key, seed)
    size[views] = segment_bytes(key[views], seed)
    about = {"name": "school", "source": f"generated: a school of {count} courses, seed {seed}"}
    due = [int(starts[week * WEEK + DEADLINE]) for week in range(WEEKS)]
    events = tuple(Event("deadline", at, at) for at in due)
    return Workload(traced(key, seconds, size, written, about), events, in_seconds=True)


def rates() -> Floats:
    """Traffic of every hour: by day, and more as the deadline comes near, shape (hours,)."""
    hour = np.arange(WEEKS * WEEK)
    left = (DEADLINE - hour) % WEEK
    return daily(hour.size, BUSIEST_HOUR, RUSH) ** 3 * (1 + HASTE * np.exp(-left / HASTE_MEMORY))


def units(seconds: Ints, chance: np.random.Generator) -> Ints:
    """The unit of each request: that of the week, or an earlier one, shape (requests,)."""
    current = seconds // HOUR // WEEK
    earlier = (chance.random(seconds.size) * current).astype(np.int64)
    return np.where(chance.random(seconds.size) < REVIEW, earlier, current)


def exercises(
    unit: Ints, cohort: Floats, requests: int, chance: np.random.Generator
) -> tuple[Ints, np.ndarray[tuple[int], np.dtype[np.bool_]]]:
    """Steps in pairs, the item read and the state written; keys, and which are writes, shape (steps,)."""
    popularity = (np.arange(ITEMS) + 1.0) ** -ITEM_EXPONENT
    learners = np.maximum(1, (cohort / cohort.sum() * requests / REQUESTS_PER_LEARNER)).astype(np.int64)
    item = chosen(popularity, unit.size, chance)
    learner = (chance.random(unit.size) * learners[unit // WEEKS]).astype(np.int64)
    step = with_returns(np.arange(unit.size), chance, RETURNS, RETURN_DISTANCE)
    step[1::2] = step[: step.size - step.size % 2 : 2]  # the write that belongs to the read before it
    unit, item, learner = unit[step], item[step], learner[step]
    written = np.arange(unit.size) % 2 == 1
    items = unit * ITEMS + item
    states = ((learner * (int(unit.max()) + 1) + unit) * SKILLS + item % SKILLS) * 4 + 1
    return np.where(written, states, items * 4 + 2), written


def videos(unit: Ints, chance: np.random.Generator) -> Ints:
    """Segments in the order in which viewers see them, several at a time: keys, shape (segments,)."""
    begins = chance.random(unit.size) >= GOES_ON
    begins[0] = True
    view = np.cumsum(begins) - 1
    first = np.flatnonzero(begins)
    segment = np.arange(unit.size) - first[view]
    video = chance.integers(0, VIDEOS, first.size)[view]
    watched = unit[first][view] * VIDEOS + video
    key: Ints = (watched * SEGMENTS + segment % SEGMENTS) * 4 + 3
    return key


def segment_bytes(key: Ints, seed: int) -> Ints:
    """Bytes of each segment, shape (segments,)."""
    values, which = np.unique(key, return_inverse=True)
    spread = np.random.default_rng([seed, 2]).normal(0, SEGMENT_SPREAD, values.size)
    drawn: Ints = (SEGMENT_BYTES * np.exp(spread)).astype(np.int64)
    each: Ints = drawn[which]
    return each
