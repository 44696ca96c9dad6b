"""How often an address may be wrong."""

import asyncio

import pytest

from perf_alerts_dagster.identity.authenticator import Attempts


class Steady:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_failures_up_to_the_limit_pass_and_the_next_one_waits() -> None:
    clock = Steady()
    attempts = Attempts(3, clock)

    assert [attempts.failed("192.0.2.1") for _ in range(5)] == [None, None, None, 60, 60]


def test_the_wait_is_until_the_oldest_failure_leaves_the_window_and_at_least_a_second() -> None:
    clock = Steady()
    attempts = Attempts(2, clock)
    attempts.failed("192.0.2.1")
    clock.now += 30
    attempts.failed("192.0.2.1")
    clock.now += 29.9

    assert attempts.failed("192.0.2.1") == 1
    clock.now += 0.1
    assert attempts.failed("192.0.2.1") is None
    assert attempts.failed("192.0.2.1") == 30


def test_what_was_refused_does_not_make_the_wait_longer() -> None:
    clock = Steady()
    attempts = Attempts(1, clock)
    attempts.failed("192.0.2.1")
    for _ in range(59):
        clock.now += 1
        assert attempts.failed("192.0.2.1") is not None
    clock.now += 1

    assert attempts.failed("192.0.2.1") is None


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("192.0.2.1", "192.0.2.2", False),
        ("2001:db8::1", "2001:db8::ffff:1", True),
        ("2001:db8:0:1::1", "2001:db8:0:2::1", False),
        ("2001:db8:0:2::1", "2001:db8:0:3::1", False),
        ("2001:db8::1", "2001:db8::8000:0:0:1", True),
        ("::ffff:192.0.2.1", "192.0.2.1", True),
        ("::ffff:192.0.2.1", "::ffff:192.0.2.2", False),
        ("fe80::1%eth0", "fe80::2%eth1", True),
        ("unix", "", False),
    ],
)
def test_an_ipv4_address_counts_alone_and_an_ipv6_one_with_its_network(
    one: str, other: str, same: bool
) -> None:
    attempts = Attempts(1, Steady())
    attempts.failed(one)

    assert (attempts.failed(other) is not None) is same


def test_many_addresses_do_not_fill_the_memory_and_the_busy_ones_are_remembered() -> None:
    attempts = Attempts(1, Steady())
    for number in range(25_000):
        attempts.failed(f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}")
        attempts.failed("192.0.2.1")

    assert len(attempts._failures) <= 10_000
    assert attempts.failed("192.0.2.1") == 60


async def test_of_one_address_ten_answers_wait_and_the_others_are_refused_at_once() -> None:
    hold = asyncio.Event()

    async def pause(seconds: float) -> None:
        await hold.wait()

    attempts = Attempts(1000, Steady(), pause)
    waiting = [asyncio.create_task(attempts.delay("192.0.2.1")) for _ in range(10)]
    await asyncio.sleep(0)

    assert attempts.failed("192.0.2.1") == 1
    assert attempts.failed("192.0.2.2") is None
    hold.set()
    await asyncio.gather(*waiting)
    assert attempts.failed("192.0.2.1") is None
