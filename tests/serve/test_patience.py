"""Sequencers that are given up though they live ask for more time, within bounds, and give it back."""

from __future__ import annotations

from forecache.serve.patience import CALM_SECONDS, MOST_SECONDS, QUICK_SECONDS, Patience

LEAST = 0.4


def loses(patience: Patience, at: float, gap: float, stopped: float = 0.0) -> float:
    """Leads, does not get round for so long, and has lost the source; the moment after it."""
    patience.began(at)
    assert not patience.is_over(at + 0.01)
    patience.lost(at + 0.01 + gap, stopped)
    return at + 0.01 + gap


def leads(patience: Patience, at: float, seconds: float, gap: float) -> float | None:
    """Leads for so long with a round after each gap; when it should begin anew, if it should."""
    patience.began(at)
    for number in range(1, round(seconds / gap)):
        if patience.is_over(at + number * gap):
            return at + number * gap
    return None


def test_who_was_given_up_soon_asks_for_more_time_up_to_a_bound() -> None:
    patience, now, asked = Patience(LEAST), 10.0, []
    for _ in range(7):
        now = loses(patience, now, patience.seconds)
        asked.append(patience.seconds)
    assert asked == [LEAST, 0.8, 1.6, 3.2, MOST_SECONDS, MOST_SECONDS, MOST_SECONDS]


def test_two_that_take_over_from_each_other_come_to_rest() -> None:
    standstill = 1.4  # seconds for which the machine lets each of them wait, again and again
    candidates, now, takeovers = [Patience(LEAST), Patience(LEAST)], 0.0, 0
    while candidates[takeovers % 2].seconds < standstill:
        now = loses(candidates[takeovers % 2], now, standstill)
        takeovers += 1
    assert takeovers == 6


def test_a_source_that_failed_while_we_were_awake_costs_no_patience() -> None:
    patience = Patience(LEAST)
    for number in range(3):
        loses(patience, number, 0.05)
    assert patience.seconds == LEAST


def test_who_was_stopped_is_not_slow_and_who_was_both_is() -> None:
    patience, now = Patience(LEAST), 0.0
    for _ in range(5):
        now = loses(patience, now, 1.0, stopped=0.9)
    assert patience.seconds == LEAST
    for _ in range(2):
        now = loses(patience, now, 1.0, stopped=0.5)
    assert patience.seconds == 2 * LEAST


def test_only_losses_that_follow_each_other_count() -> None:
    patience = Patience(LEAST)
    now = loses(patience, 0.0, LEAST)
    assert leads(patience, now, QUICK_SECONDS + 1, 0.02) is None
    patience.lost(now + QUICK_SECONDS + 2)
    loses(patience, now + QUICK_SECONDS + 2, LEAST)
    assert patience.seconds == LEAST


def test_one_that_led_for_long_and_stopped_once_is_taken_over_as_fast_the_next_time() -> None:
    patience = Patience(LEAST)
    assert leads(patience, 0.0, QUICK_SECONDS + 1, 0.02) is None
    patience.lost(QUICK_SECONDS + 9)
    assert patience.seconds == LEAST


def test_calm_takes_time_back_step_by_step() -> None:
    patience = Patience(LEAST)
    now = loses(patience, loses(patience, 0.0, LEAST), LEAST)
    now = loses(patience, now, patience.seconds)
    assert patience.seconds == 4 * LEAST
    for expected in (2 * LEAST, LEAST):
        at = leads(patience, now, 2 * CALM_SECONDS, 0.02)
        assert at is not None
        assert at >= now + CALM_SECONDS
        assert patience.seconds == expected
        now = at
    assert leads(patience, now, 2 * CALM_SECONDS, 0.02) is None


def test_who_still_stands_still_at_times_keeps_its_time() -> None:
    patience = Patience(LEAST)
    now = loses(patience, loses(patience, 0.0, LEAST), LEAST)
    assert leads(patience, now, 3 * CALM_SECONDS, 0.11) is None
    assert patience.seconds == 2 * LEAST


def test_what_was_asked_for_is_never_cut_and_a_source_that_was_not_ours_cannot_be_lost() -> None:
    patience = Patience(2 * MOST_SECONDS)
    loses(patience, loses(patience, 0.0, 2 * MOST_SECONDS), 2 * MOST_SECONDS)
    patience.lost(100.0)
    assert patience.seconds == 2 * MOST_SECONDS
