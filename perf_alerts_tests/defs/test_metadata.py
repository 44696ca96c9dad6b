"""What a run's page shows of incidents: links, and names that do nothing."""

from dataclasses import replace

import dagster as dg

from perf_alerts_dagster.core.severity import Severity
from perf_alerts_dagster.defs.metadata import outcome_word, output_metadata, sentence
from perf_alerts_dagster.executions.execute import Execution
from perf_alerts_dagster.incidents.model import Incident, evaluation_firing
from perf_alerts_dagster.incidents.transitions import open_incident
from perf_alerts_tests.incidents.incident_desk import DAILY, START, breach, judged

PAGES = "https://alerts.example"


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


def test_a_source_that_shrank_is_no_data_and_says_so() -> None:
    shrunk = "daily.csv shrank: 2 of 4 strategies are gone: a, b"
    done = Execution(
        alert="daily_pnl_check", run_id="r", executed_at=START, judgements=(), shrunk=shrunk
    )

    assert outcome_word(done) == "no_data"
    assert sentence(done) == f"daily_pnl_check: nothing was judged, since {shrunk}"
    assert output_metadata(done, pages="x") == {}
