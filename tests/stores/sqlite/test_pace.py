"""When short work counts as quick."""

from __future__ import annotations

from stepwell.stores.sqlite.pace import QUICK_SECONDS, Pace

LITTLE, MUCH, AGES = QUICK_SECONDS / 10, QUICK_SECONDS * 2, 5.0


def _paced(seconds: float, *, is_here: bool = False) -> Pace:
    pace = Pace()
    for _ in range(200):
        pace.note(seconds, is_here=is_here)
    return pace


def test_it_is_proven_first() -> None:
    """Nothing is done in the loop before something has been quick."""
    pace = Pace()
    assert not pace.is_quick()
    pace.note(LITTLE, is_here=False)
    assert pace.is_quick()


def test_one_slow_piece_is_no_slow_disk() -> None:
    """It is the average that counts."""
    pace = _paced(LITTLE)
    pace.note(MUCH, is_here=True)
    assert pace.is_quick()


def test_a_trial_now_and_then_finds_the_way_back() -> None:
    """Beside a busy loop the thread is slow for ever; one quick trial in the loop ends that."""
    pace = _paced(MUCH)
    trials = [pace.is_quick() for _ in range(320)]
    assert 10 == sum(trials)

    pace.note(LITTLE, is_here=True)
    assert pace.is_quick()


def test_a_trial_that_is_slow_changes_nothing() -> None:
    """A disk that is slow stays with the thread, but for the trials."""
    pace = _paced(MUCH, is_here=True)
    assert 1 == sum(pace.is_quick() for _ in range(32))


def test_nothing_is_tried_that_may_take_ages() -> None:
    """Where locks or the disk take seconds, the loop does not try."""
    pace = _paced(AGES)
    assert not any(pace.is_quick() for _ in range(320))
