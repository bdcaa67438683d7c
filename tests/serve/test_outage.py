"""A short outage under requests: none fails, and the tier is used again by itself; `make stress` tells how fast."""

from __future__ import annotations

from tests.serve.outage import run


def test_no_request_fails_while_the_tier_is_killed_and_comes_back() -> None:
    report = run(rate=100, seconds=1)
    assert report.requests >= 5 * 100
    assert report.failed == 0
    assert report.answers_after is not None
