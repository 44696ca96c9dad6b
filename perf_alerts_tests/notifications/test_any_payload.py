"""Whatever a row holds that names, parts and numbers may be, it is a message that can be sent."""

import math
import unicodedata
from dataclasses import replace
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from perf_alerts_dagster.core.json import Json
from perf_alerts_dagster.core.severity import Severity
from perf_alerts_dagster.incidents.model import Reason, Resolution, Status
from perf_alerts_dagster.incidents.notification import (
    MessageKind,
    Notification,
    NotificationItem,
    new_digest,
)
from perf_alerts_dagster.incidents.system import SYSTEM
from perf_alerts_dagster.judging.rules.catalogue import RULES
from perf_alerts_dagster.notifications.messages import MAXIMUM_SUBJECT, message_of
from perf_alerts_tests.incidents.incident_desk import START
from perf_alerts_tests.notifications.bad_day import WORDING

NUMBERS = st.none() | st.floats() | st.integers(-(10**6), 10**6)
DAYS = st.sampled_from(["2026-01-05", "2026-01-02", "2024-02-29", "x", "", None])
TIMES = st.sampled_from(["2026-01-05T12:00:00+00:00", "2026-01-02T08:00:00+00:00", "x", None])
ANYTHING: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(max_size=300),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=6,
)
DAY_FACTS = st.fixed_dictionaries(
    {},
    optional={
        "session": DAYS | ANYTHING,
        "return": NUMBERS,
        "pnl": NUMBERS,
        "currency": st.none() | st.text(max_size=200),
        "worst_before": st.fixed_dictionaries({"return": NUMBERS, "session": DAYS}) | ANYTHING,
        "years_before": NUMBERS,
    },
)
LOSSES = st.lists(
    st.fixed_dictionaries({"strategy": st.text(max_size=100), "return": NUMBERS, "pnl": NUMBERS})
    | ANYTHING,
    max_size=4,
)
PARTS = st.fixed_dictionaries(
    {},
    optional={
        "headline": st.text(max_size=80) | ANYTHING,
        "day": DAY_FACTS | ANYTHING,
        "owner": st.text(max_size=200) | ANYTHING,
        "in_group": st.text(max_size=200) | ANYTHING,
        "contributions": LOSSES | ANYTHING,
        "explained": st.fixed_dictionaries({"line": st.text(max_size=500)}) | ANYTHING,
        "ended": st.fixed_dictionaries({"value": NUMBERS, "message": st.text(), "return": NUMBERS})
        | ANYTHING,
        "return": NUMBERS,
        "step": NUMBERS,
        "line": NUMBERS,
        "about": ANYTHING,
        "restated": st.booleans(),
    },
)
EVENTS = st.fixed_dictionaries(
    {
        "id": st.sampled_from(["a" * 24, "b" * 24]),
        "leader": st.text(max_size=200),
        "status": st.sampled_from([each.value for each in Status]),
    },
    optional={"channel_status": st.sampled_from([each.value for each in Status])},
)
ENTRIES = st.fixed_dictionaries(
    {
        "reason": st.sampled_from([each.value for each in Reason]),
        "dedup_key": st.text(max_size=50),
        "strategy": st.sampled_from(["", "ALL", "ALL:USD", "group:vol"]) | st.text(max_size=300),
        "rule": st.sampled_from([*(each.id for each in RULES), *SYSTEM, "is_no_more"]),
        "kind": st.sampled_from(["level", "event"]),
        "status": st.sampled_from([each.value for each in Status]),
        "severity": st.sampled_from([each.value for each in Severity]),
        "evidence": st.sampled_from(["strong", "weak", None]),
        "value": NUMBERS,
        "limit": NUMBERS,
        "p_year": NUMBERS,
        "first_as_of": DAYS,
        "as_of": DAYS,
        "opened_at": TIMES,
        "resolved_at": TIMES,
        "critical_since": TIMES,
        "provisional": st.booleans(),
        "acknowledged_by": st.none() | st.text(max_size=200),
        "resolved_by": st.none() | st.text(max_size=200),
        "resolution": st.sampled_from([None, *(each.value for each in Resolution)]),
        "over": st.booleans(),
        "message": st.text(max_size=900),
        "parts": PARTS,
        "event": st.none() | EVENTS,
    },
    optional={"sent_at": TIMES, "folded": st.just("opened")},
)
LISTED = st.lists(ENTRIES, min_size=1, max_size=6)


def whole(listed: list[dict[str, Json]]) -> list[dict[str, Json]]:
    return [{**each, "id": f"{place:024x}"} for place, each in enumerate(listed)]


def check(row: Notification) -> None:
    message = message_of(row, wording=WORDING)

    assert message == message_of(row, wording=WORDING)
    assert 0 < len(message.subject) <= MAXIMUM_SUBJECT
    for line in (message.subject, *message.text.split("\n"), *message.html.split("\n")):
        assert not any(unicodedata.category(char)[0] == "C" for char in line), line
    message.text.encode()
    message.html.encode()
    assert "nan" not in message.subject.split()
    assert not any(math.isnan(each) for each in _floats(message.subject))


def _floats(text: str) -> list[float]:
    return [float(each) for each in text.split() if each in ("nan", "inf", "-inf")]


@settings(deadline=None)
@given(LISTED)
def test_a_message_about_anything_is_printable_short_and_the_same_again(
    listed: list[dict[str, Json]],
) -> None:
    entries = whole(listed)
    items = tuple(
        NotificationItem(
            incident_id=str(each["id"]),
            dedup_key=str(each["dedup_key"]),
            severity=Severity.WARNING,
            reason=Reason.OPENED,
            number=1,
        )
        for each in entries
    )
    payload: dict[str, Json] = {"alert": "daily", "at": START.isoformat(), "incidents": [*entries]}
    row = Notification(
        key="k",
        kind=MessageKind.NORMAL,
        channel="mail",
        payload=payload,
        items=items,
        created_at=START,
        next_at=START,
    )
    check(row)
    check(replace(row, items=tuple(replace(each, is_resolved=True) for each in items)))


@settings(deadline=None)
@given(
    LISTED,
    st.lists(
        st.fixed_dictionaries(
            {"strategy": st.text(max_size=200), "rule": st.sampled_from(["stale_data", "x"])},
            optional={
                "headline": ANYTHING,
                "message": ANYTHING,
                "p_year": NUMBERS,
                "level": NUMBERS,
            },
        ),
        max_size=4,
    ),
)
def test_a_digest_of_anything_is_printable_short_and_the_same_again(
    listed: list[dict[str, Json]], others: list[dict[str, Json]]
) -> None:
    payload: dict[str, Json] = {
        "alert": "daily",
        "as_of": "2026-01-05",
        "strategies": 4,
        "judged": 3,
        "evaluations": 100,
        "incidents": [*whole(listed)],
        **{name: [*others] for name in ("weak", "unmeasured", "partial", "too_little")},
    }
    check(new_digest(payload, "2026-01-05", "mail", START))
