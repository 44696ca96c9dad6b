import copy
import pickle
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perf_alerts_dagster.defs.failures import CappedBackoff
from perf_alerts_dagster.settings import RetrySettings

DOCUMENTED = RetrySettings()


def test_three_attempts_are_two_retries_after_60_and_120_seconds() -> None:
    policy = CappedBackoff(DOCUMENTED)

    assert policy.max_retries == 2
    assert [policy.calculate_delay(one) for one in (1, 2)] == [60, 120]
    assert policy.total_delay() == 180


def test_the_cap_holds() -> None:
    policy = CappedBackoff(RetrySettings(max_attempts=6, max_delay=300))

    assert [policy.calculate_delay(one) for one in range(1, 6)] == [60, 120, 240, 300, 300]


def test_the_documented_custom_retry_waits_as_written() -> None:
    policy = CappedBackoff(
        RetrySettings(max_attempts=5, initial_delay=30, backoff_multiplier=1.5, max_delay=180)
    )

    assert [policy.calculate_delay(one) for one in range(1, 5)] == [30, 45, 67.5, 101.25]


def test_one_attempt_is_no_retry() -> None:
    assert CappedBackoff(RetrySettings(max_attempts=1)).max_retries == 0


@pytest.mark.parametrize(
    "again", [copy.copy, copy.deepcopy, lambda p: pickle.loads(pickle.dumps(p))]
)
def test_a_copy_waits_as_long(again: Callable[[CappedBackoff], CappedBackoff]) -> None:
    policy = CappedBackoff(RetrySettings(max_attempts=4, backoff_multiplier=3, max_delay=100))

    assert [again(policy).calculate_delay(one) for one in (1, 2, 3)] == [60, 100, 100]


@given(
    initial=st.floats(0, 1e6),
    multiplier=st.floats(1, 100),
    cap=st.floats(0, 1e6),
    attempt=st.integers(1, 2000),
)
def test_delays_never_exceed_the_cap_and_never_shrink(
    initial: float, multiplier: float, cap: float, attempt: int
) -> None:
    policy = CappedBackoff(
        RetrySettings(
            max_attempts=3, initial_delay=initial, backoff_multiplier=multiplier, max_delay=cap
        )
    )

    assert 0 <= policy.calculate_delay(attempt) <= policy.calculate_delay(attempt + 1) <= cap
