"""Paths with a strategy's name, which may hold any character, also encoded slashes."""

from fastapi.routing import APIRoute
from starlette.routing import Match
from starlette.types import Scope


class NameRoute(APIRoute):
    """A route whose last word counts only where it stands in the path as it was sent.

    Servers decode paths before they are matched: `/strategies/a%2Fseries` is the strategy
    `a/series`, and `/strategies/a/series` the series of `a`.
    """

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """No match where the word is part of the name."""
        word = self.path_format.rpartition("}")[2]
        sent = scope.get("raw_path")
        if sent is not None and not bytes(sent).endswith(word.encode()):
            return Match.NONE, {}
        return super().matches(scope)
