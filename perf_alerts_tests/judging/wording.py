"""Evaluations without their sentences, which `test_sentences` has."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from perf_alerts_dagster.judging.evaluation import HEADLINE, Evaluation


def plain(found: Any) -> Any:
    """The numbers of one evaluation or of several: without their messages and headlines."""
    if isinstance(found, Mapping):
        return {name: plain(each) for name, each in found.items()}
    if not isinstance(found, Evaluation):
        return [plain(each) for each in found]
    parts = {name: part for name, part in found.parts.items() if name != HEADLINE}
    return replace(found, message="", parts=parts)
