"""The type of JSON values."""

from typing_extensions import TypeAliasType

# A named type, since tools that follow types at run time cannot follow a bare recursive one.
Json = TypeAliasType("Json", "str | int | float | bool | list[Json] | dict[str, Json] | None")
