"""What a run says: its outcome, its sentence, and the links to incidents."""

from base64 import b64decode
from dataclasses import replace
from datetime import date

import dagster as dg
import pytest

from perf_alerts_dagster.core.severity import Severity
from perf_alerts_dagster.defs.metadata import (
    SENTENCE,
    not_judged,
    outcome_word,
    output_metadata,
    sentence,
)
from perf_alerts_dagster.executions.execute import Execution
from perf_alerts_dagster.incidents.model import Incident, evaluation_firing
from perf_alerts_dagster.incidents.transitions import open_incident
from perf_alerts_dagster.judging.evaluation import Evaluation, Evidence, Outcome
from perf_alerts_dagster.plots.plot import Plot, Series
from perf_alerts_tests.builders import a_record, noise
from perf_alerts_tests.executions.trading_desk import judge
from perf_alerts_tests.incidents.incident_desk import DAILY, START, breach, fine, judged

PAGES = "https://alerts.example"
WATCHED = "40 of 756 rows; watched only for data and drawdown"


def incident(strategy: str = "trend") -> Incident:
    firing = evaluation_firing(breach(strategy=strategy), Severity.CRITICAL, judged())
    return open_incident(firing, now=START, chain=None)


def shown(*incidents: Incident) -> str | None:
    execution = Execution(
        alert=DAILY,
        run_id="run",
        executed_at=START,
        judgements=(judged(breach()),),
        incidents=incidents,
    )
    found = output_metadata(execution, pages=PAGES).get("incidents")
    assert found is None or isinstance(found, dg.MarkdownMetadataValue)
    return None if found is None else found.md_str


def test_each_incident_has_the_link_to_its_page() -> None:
    one = incident()

    assert shown(one) == f"- [critical, open]({PAGES}/incidents/{one.id}): trend, max\\_drawdown"
    assert shown() is None


def test_a_hostile_name_is_only_text() -> None:
    found = shown(incident("[click](https://evil.example) <img src=x>\n# big **bold** `code`"))

    assert found is not None
    assert found.count("\n") == 0
    assert "\\[click\\]\\(https\\:\\/\\/evil\\.example\\) \\<img src\\=x\\> \\# big" in found


def test_a_long_list_is_counted() -> None:
    found = shown(*(replace(incident(), id=f"{number:024x}") for number in range(53)))

    assert found is not None
    assert len(found.splitlines()) == 51
    assert found.endswith(f"- [and 3 more]({PAGES}/incidents)")


def a_plot(number: int) -> Plot:
    days = (date(2026, 1, 2), date(2026, 1, 5))
    line = Series(name="depth", values=(0.0, -number / 100))
    return Plot(
        strategy="trend",
        rule="drawdown",
        title=f"picture {number}",
        text="how deep",
        unit="%",
        dates=days,
        series=(line,),
    )


@pytest.mark.parametrize("count", [0, 2, 8])
def test_the_page_of_a_run_shows_the_plots_of_its_worst_incidents_each_with_its_link(
    count: int,
) -> None:
    opened = [replace(incident(f"s{number}"), id=f"{number:024x}") for number in range(count)]
    execution = Execution(
        alert=DAILY,
        run_id="run",
        executed_at=START,
        judgements=(judged(breach()),),
        incidents=(replace(incident("unplotted"), id="f" * 24), *opened),
        plots={each.id: a_plot(number) for number, each in enumerate(opened)},
    )

    found = output_metadata(execution, pages=PAGES)

    # The first five are visible without a click.
    assert set(list(found)[:5]) >= {"incidents", "evaluations"} | ({"plots"} if count else set())
    if not count:
        assert "plots" not in found
        return
    shown = found["plots"]
    assert isinstance(shown, dg.MarkdownMetadataValue)
    lines = (shown.md_str or "").split("\n\n")
    for number, (link, picture) in enumerate(zip(lines[::2], lines[1::2], strict=False)):
        assert (
            link == f"[critical, open]({PAGES}/incidents/{number:024x}): s{number}, max\\_drawdown"
        )
        content = b64decode(picture.removesuffix(")").partition("base64,")[2]).decode()
        assert f"picture {number}" in content
    assert len(lines) == min(2 * count, 12) + (count > 6)
    assert count <= 6 or lines[-1] == f"[and 2 more]({PAGES}/incidents)"


def executed(*evaluations: Evaluation) -> Execution:
    return Execution(
        alert=DAILY, run_id="run", executed_at=START, judgements=(judged(*evaluations),)
    )


def young(name: str = "new_ml") -> tuple[Evaluation, ...]:
    return judge(a_record(noise(40), strategy=name)).evaluations


@pytest.mark.parametrize(
    ("outcome", "word"),
    [
        (Outcome.OK, "ok"),
        (Outcome.PARTIAL, "partial"),
        (Outcome.INSUFFICIENT_DATA, "insufficient_data"),
        (Outcome.BREACH, "breach"),
        (Outcome.NO_DATA, "no_data"),
        (Outcome.ERROR, "error"),
    ],
)
def test_the_word_of_a_run_is_the_worst_of_its_strategies(outcome: Outcome, word: str) -> None:
    weak = fine(strategy="carry", outcome=outcome, evidence=Evidence.WEAK)

    assert outcome_word(executed(fine(), weak)) == word


def test_the_table_of_a_run_says_what_notifies_in_as_many_columns_as_are_read() -> None:
    sees = fine(notifies=True, power_252=0.25, rule="drawdown")
    fallen = breach(
        rule="drawdown", value=-0.35967964, p_year=0.0123456, parts={"headline": "-36.0 % today"}
    )
    found = output_metadata(executed(sees, fine(), fallen), pages=PAGES)["evaluations"]
    assert isinstance(found, dg.TableMetadataValue)
    worst, *rows = [record.data for record in found.records]

    assert [row["notifies"] for row in rows] == [True, False]
    shown = {name: worst[name] for name in ("value", "limit", "unit", "p_year_percent")}
    assert shown == {
        "value": -35.97,
        "limit": -20.0,
        "unit": "percent",
        "p_year_percent": 1.235,
    }
    types = {column.name: column.type for column in found.schema.columns}
    assert len(types) <= 10
    # An empty number is "", since Dagster's tables hold nothing else that is empty.
    kinds = {"float": float | str, "bool": bool, "string": str}
    for row in (worst, *rows):
        assert set(row) == set(types)
        for name, value in row.items():
            assert isinstance(value, kinds[types[name]]), name
            assert value == "" or types[name] != "float" or isinstance(value, float)


def test_a_run_over_a_young_strategy_is_not_ok_and_says_why() -> None:
    execution = executed(fine(), *young())

    assert outcome_word(execution) == "insufficient_data"
    assert not_judged(execution) == f"new_ml: {WATCHED}"
    assert sentence(execution) == (
        "daily_pnl_check: judged 2026-01-05; strategies: 1 insufficient_data, 1 ok; "
        f"not judged in full: new_ml: {WATCHED}"
    )


def test_many_young_strategies_are_counted() -> None:
    found = not_judged(executed(*(one for name in "abcdefgh" for one in young(name))))

    assert found.startswith(f"a: {WATCHED} | b: ")
    assert found.endswith(" | and 3 more")


def test_a_run_in_which_no_strategy_is_due_has_judged_nothing() -> None:
    assert outcome_word(executed()) == "nothing judged"
    assert not_judged(executed(fine())) == ""


def test_a_source_that_shrank_is_no_data_and_says_so() -> None:
    shrunk = "daily.csv shrank: 2 of 4 strategies are gone: a, b"
    done = Execution(
        alert="daily_pnl_check", run_id="r", executed_at=START, judgements=(), shrunk=shrunk
    )

    assert outcome_word(done) == "no_data"
    assert sentence(done) == f"daily_pnl_check: nothing was judged, since {shrunk}"
    assert output_metadata(done, pages="x") == {
        SENTENCE: dg.MetadataValue.text(f"daily_pnl_check: nothing was judged, since {shrunk}")
    }
    assert not_judged(done) == shrunk
