"""A social network: profiles, posts that are read while they are new, timelines that new posts are written to."""

from __future__ import annotations

from typing import Final, NamedTuple

from forecache.extras import TRACES, extra
from forecache.study.workloads.pieces import (
    DAY,
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

__all__ = ["social"]

DAYS: Final = 3
BUSIEST_HOUR: Final = 21  # of the day
RUSH: Final = 0.23  # edits of a wiki in the busiest hour are 1.6 times those in the quietest
REQUESTS_PER_USER: Final = 4
FOLLOWERS: Final = 0.784  # links ~ rank^-a: a power law of exponent 2.276 up to 10^5 of them; Kwak et al., WWW 2010
PROFILES: Final = 0.38  # share of requests that read a profile
PROFILE_EXPONENT: Final = 1.15  # by which profiles are read; recorded Twitter caches have 1 and more
TIMELINES: Final = 0.17  # share of requests that read a reader's timeline
READER_EXPONENT: Final = 0.8  # some readers come more often than others
POSTS: Final = 0.012  # share of requests that are new posts
FANOUT: Final = 8  # timelines that a post is written to at most; those of readers with many followed are made when read
RETURNS: Final = 0.25  # share of requests that repeat one of shortly before
RETURN_DISTANCE: Final = 40
FRESH: Final = 5.0  # hours after which a post is read 1/e as often
CASCADE: Final = 0.01  # share of the posts that spread
VIRALITY: Final = 12.0  # the logarithm of how much more they are read is exponential, of mean ln(VIRALITY)
CASCADES: Final = 3  # the posts that are read most, told as events
FEW: Final = 54  # bytes of flags and counters, more than half of what Twitter's cluster 52 holds
FLAGS: Final = 0.6  # share of the keys that are such


class Posts(NamedTuple):
    """All posts in order, shape (posts,)."""

    request: Ints  # by which it was written
    hour: Ints  # of that
    author: Ints
    appeal: Floats  # how often it is read, as long as it is new


def social(requests: int, *, users: int | None = None, seed: int = 0) -> Workload:
    """Three days of a social network.

    Profiles are read by rank, posts as their authors have followers (Kwak et al., "What is Twitter, a social network or
    a news media?", WWW 2010) while they are new, a few of them much more because they spread (Goel, Watts & Goldstein,
    "The structure of online diffusion networks", EC 2012: by far the most cascades are small and end next to who began
    them). Who writes a post writes to the timelines of followers, at most eight of them.

    Args:
        requests: accesses, at least 1000.
        users: by default one for four requests.
        seed: of every random choice.

    Returns:
        Accesses whose time is in seconds since the first midnight; with the posts that spread most as events.

    Raises:
        ConfigurationError: there are too few requests.
    """
    check_requests(requests, "a network")
    count = max(100, requests // REQUESTS_PER_USER) if users is None else users
    chance = np.random.default_rng(seed)
    starts = hour_starts(daily(DAYS * DAY, BUSIEST_HOUR, RUSH), requests)
    kind = chance.random(requests)
    hour = np.repeat(np.arange(starts.size - 1), np.diff(starts))
    posts = written_posts(np.flatnonzero(kind < POSTS), hour, count, chance)
    key, written = reads(kind, hour, posts, count, chance)
    key = with_returns(key, chance, RETURNS, RETURN_DISTANCE)
    key, written = fanned_out(key, written, posts, count, chance)
    size = of_pareto(key, seed)
    size[np.random.default_rng([seed, 3]).random(int(key.max()) + 1)[key] < FLAGS] = FEW
    about = {"name": "social", "source": f"generated: a network of {count} users, seed {seed}"}
    begun = np.sort(posts.request[np.argsort(-posts.appeal)[:CASCADES]])
    events = tuple(Event("cascade", int(at), int(at)) for at in begun)
    return Workload(traced(key, seconds_in(starts, chance), size, written, about), events, in_seconds=True)


def written_posts(at: Ints, hour: Ints, users: int, chance: np.random.Generator) -> Posts:
    """Who writes when, and how much it is read."""
    author = chosen((np.arange(users) + 1.0) ** -(FOLLOWERS / 2), at.size, chance)  # who is followed writes more
    spreads = np.where(chance.random(at.size) < CASCADE, chance.exponential(np.log(VIRALITY), at.size), 0.0)
    return Posts(at, hour[at], author, (author + 1.0) ** -FOLLOWERS * np.exp(spreads))


def reads(
    kind: Floats, hour: Ints, posts: Posts, users: int, chance: np.random.Generator
) -> tuple[Ints, np.ndarray[tuple[int], np.dtype[np.bool_]]]:
    """Keys by kind of request, and which are writes: 3 n of profiles, 3 n + 1 of timelines, 3 n + 2 of posts."""
    rank = np.arange(users) + 1.0
    key = 3 * chosen(rank**-PROFILE_EXPONENT, kind.size, chance)
    edges = np.cumsum([POSTS, PROFILES, TIMELINES])
    timeline = (kind >= edges[1]) & (kind < edges[2])
    key[timeline] = 3 * chance.permutation(users)[chosen(rank**-READER_EXPONENT, int(timeline.sum()), chance)] + 1
    of_posts = kind >= edges[2]
    for now in range(int(hour[-1]) + 1):
        here = np.flatnonzero(of_posts & (hour == now))
        known = np.searchsorted(posts.hour, now, side="right")
        if known:
            age = now - posts.hour[:known]
            key[here] = 3 * chosen(posts.appeal[:known] * np.exp(-age / FRESH), here.size, chance) + 2
    new = kind < POSTS
    key[new] = 3 * np.arange(int(new.sum())) + 2
    return key, new.copy()


def fanned_out(
    key: Ints,
    written: np.ndarray[tuple[int], np.dtype[np.bool_]],
    posts: Posts,
    users: int,
    chance: np.random.Generator,
) -> tuple[Ints, np.ndarray[tuple[int], np.dtype[np.bool_]]]:
    """The requests after a post write to timelines of the author's followers, in place of what they were."""
    at = posts.request
    key[at], written[at] = 3 * np.arange(at.size) + 2, True
    followers = np.minimum(FANOUT, np.ceil(users**FOLLOWERS * (posts.author + 1.0) ** -FOLLOWERS)).astype(np.int64)
    ends = np.minimum(np.append(at[1:], key.size), at + 1 + followers)
    for start, stop, author in zip(at + 1, ends, posts.author, strict=True):
        nearest = (author + 1 + chance.integers(0, max(users // 50, 1), stop - start)) % users
        key[start:stop], written[start:stop] = 3 * nearest + 1, True
    return key, written
