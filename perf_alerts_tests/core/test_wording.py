"""Lists in sentences."""

import pytest

from perf_alerts_dagster.core.wording import first_few


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, ""), (1, "a"), (5, "a, b, c, d, e"), (7, "a, b, c, d, e and 2 more days")],
)
def test_five_are_named_and_the_others_counted(count: int, text: str) -> None:
    assert first_few("abcdefg"[:count], of=" days") == text


def test_what_holds_commas_is_kept_apart_otherwise() -> None:
    assert first_few(["a, b", "c"], between="; ") == "a, b; c"
