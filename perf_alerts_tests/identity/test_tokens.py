"""Tokens: what is issued is read back, and nothing else is."""

import base64
import json
from datetime import UTC, datetime, timedelta
from itertools import permutations

import jwt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from perf_alerts_dagster.identity.tokens import LONGEST, Token, TokenExpired, TokenInvalid, Tokens
from perf_alerts_tests.identity.hostile import CLAIMS, HEADER, NOW, hostile, signed

SECRET = "2Ys9vLqfJ3kXw8ZbN5tRgHc7Dm4PaEuVi6oTyW1x"
LONG_SECRET = SECRET * 2
NOON = datetime.fromtimestamp(NOW, UTC)


def tokens(
    *, secret: str = SECRET, algorithm: str = "HS256", now: datetime = NOON, hours: int = 24
) -> Tokens:
    return Tokens(
        secret=secret.encode(),
        algorithm=algorithm,
        lifetime=timedelta(hours=hours),
        clock=lambda: now,
    )


GOOD = tokens().issue("admin", "0123456789abcdef")
HOSTILE = hostile(SECRET, LONG_SECRET, GOOD)


@pytest.mark.parametrize("algorithm", ["HS256", "HS384", "HS512"])
@pytest.mark.parametrize("user_id", ["admin", "operator:ci-bot", "viewer:" + "x" * 64])
def test_what_is_issued_is_read_back(algorithm: str, user_id: str) -> None:
    own = tokens(secret=LONG_SECRET, algorithm=algorithm)

    text = own.issue(user_id, "0123456789abcdef")
    found = own.read(text)

    assert len(text) < LONGEST
    assert found == Token(
        token_id=found.token_id,
        user_id=user_id,
        key_id="0123456789abcdef",
        issued_at=NOON,
        expires_at=NOON + timedelta(hours=24),
    )


def test_every_token_has_an_id_of_its_own() -> None:
    own = tokens()
    found = {own.read(own.issue("admin", "0123456789abcdef")).token_id for _ in range(100)}

    assert len(found) == 100


def test_a_token_says_who_and_until_when_and_nothing_of_what_it_may() -> None:
    header, payload = (
        json.loads(base64.urlsafe_b64decode(part + "==")) for part in GOOD.split(".")[:2]
    )

    assert header == HEADER
    assert set(payload) == set(CLAIMS)


def test_the_corpus_is_made_as_ours_are_but_for_its_faults() -> None:
    assert tokens().read(signed(HEADER, CLAIMS, SECRET)).user_id == "admin"
    assert len(set(HOSTILE)) > 300


@pytest.mark.parametrize("number", range(len(HOSTILE)))
def test_a_hostile_token_is_refused_and_nothing_else_happens(number: int) -> None:
    with pytest.raises((TokenInvalid, TokenExpired)):
        tokens().read(HOSTILE[number])


@given(st.text())
def test_no_text_is_a_token(text: str) -> None:
    with pytest.raises(TokenInvalid):
        tokens().read(text)


@given(st.data())
def test_no_change_of_any_character_goes_unseen(data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(GOOD) - 1))
    character = data.draw(st.characters().filter(lambda one: one != GOOD[place]))

    with pytest.raises(TokenInvalid):
        tokens().read(GOOD[:place] + character + GOOD[place + 1 :])


@pytest.mark.parametrize(
    ("algorithm", "other"),
    list(permutations(("HS256", "HS384", "HS512"), 2)),
)
def test_a_token_of_another_algorithm_is_refused_though_the_secret_is_the_same(
    algorithm: str, other: str
) -> None:
    text = tokens(secret=LONG_SECRET, algorithm=other).issue("admin", "0123456789abcdef")

    with pytest.raises(TokenInvalid):
        tokens(secret=LONG_SECRET, algorithm=algorithm).read(text)


@pytest.mark.parametrize("seconds", [0, 86399, -5])
def test_a_token_counts_until_its_end_and_a_clock_may_be_a_little_behind(seconds: int) -> None:
    found = tokens(now=NOON + timedelta(seconds=seconds)).read(GOOD)

    assert found.user_id == "admin"


def test_a_token_from_the_future_is_none() -> None:
    with pytest.raises(TokenInvalid):
        tokens(now=NOON - timedelta(seconds=6)).read(GOOD)


def test_a_token_is_expired_from_its_end_on() -> None:
    with pytest.raises(TokenExpired):
        tokens(now=NOON + timedelta(hours=24)).read(GOOD)


def test_only_a_genuine_token_is_told_that_it_expired() -> None:
    late = tokens(now=NOON + timedelta(hours=25), secret=LONG_SECRET)

    with pytest.raises(TokenInvalid):
        late.read(GOOD)


def test_a_secret_that_is_too_short_for_the_algorithm_signs_nothing() -> None:
    with pytest.raises(jwt.InvalidKeyError):
        tokens(algorithm="HS512").issue("admin", "0123456789abcdef")


def test_a_token_with_another_signature_is_refused_before_it_is_parsed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    parsed: list[bytes] = []
    monkeypatch.setattr("perf_alerts_dagster.identity.tokens.strict_json", parsed.append)

    with pytest.raises(TokenInvalid):
        tokens(secret=LONG_SECRET).read(GOOD)

    assert parsed == []
