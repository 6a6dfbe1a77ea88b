"""What takes long with many entries, and is done outside of the lock."""

from __future__ import annotations

import threading

from .._core.lru import Lru, by_date, in_order


def arrange(lru: Lru, lock: threading.RLock) -> None:
    """Sort what is held by its last use, if *lru* needs that to evict more."""
    with lock:
        if not lru.lacks_run():
            return
        survey = lru.survey()
    run = in_order(survey)
    with lock:
        lru.arrange(run)
        spent = lru.let_go()
    del spent  # by now: the end of a key may be code of the user


def tidy(lru: Lru, lock: threading.RLock) -> None:
    """Sort out the dates that no longer hold, if those are the most."""
    with lock:
        if not lru.lacks_tidiness():
            return
        survey, since = lru.tidying()
    dates = by_date(survey)
    with lock:
        lru.tidied(dates, since)
        spent = lru.let_go()
    del spent
