import json
import logging
from datetime import UTC, datetime

import pytest
from sqlalchemy import Engine, insert, select

from perf_alerts_dagster.plots.sql import SqlPlots
from perf_alerts_dagster.storage.desk_tables import incident_plots
from perf_alerts_tests.plots.test_plot import a_plot, stored

AT = datetime(2026, 11, 27, 17, tzinfo=UTC)


@pytest.fixture
def plots(engine: Engine) -> SqlPlots:
    incident_plots.create(engine, checkfirst=True)
    return SqlPlots(engine)


def test_plots_are_read_back_by_their_incidents(plots: SqlPlots) -> None:
    saved = {"a": a_plot(30), "b": a_plot(5, strategy="carry", text="Überschuß −3 %")}
    plots.save(saved, AT)

    assert plots.plots(["b", "a", "c"]) == {key: stored(one) for key, one in saved.items()}
    assert plots.plots(["c"]) == plots.plots([]) == {}


def test_a_raised_incident_has_its_newest_plot(plots: SqlPlots) -> None:
    plots.save({"a": a_plot(30), "b": a_plot(4)}, AT)
    plots.save({"a": a_plot(31)}, AT)

    assert plots.plots(["a", "b"]) == {"a": stored(a_plot(31)), "b": stored(a_plot(4))}


def test_no_plots_are_no_statement(plots: SqlPlots) -> None:
    plots.save({}, AT)

    assert plots.plots(["a"]) == {}


def test_a_damaged_plot_is_left_out_with_a_warning(
    plots: SqlPlots, engine: Engine, caplog: pytest.LogCaptureFixture
) -> None:
    plots.save({"good": a_plot(3)}, AT)
    with engine.begin() as connection:
        for key, body in (("cut", '{"strategy": "tr'), ("other", "{}")):
            connection.execute(
                insert(incident_plots).values(incident_id=key, made_at=AT, body=body)
            )

    assert plots.plots(["cut", "good", "other"]) == {"good": stored(a_plot(3))}
    assert [each.levelno for each in caplog.records] == [logging.WARNING] * 2
    assert "incident cut" in caplog.text


def test_what_is_stored_is_json_of_a_few_kilobytes_with_the_time(
    plots: SqlPlots, engine: Engine
) -> None:
    plots.save({"a": a_plot()}, AT)
    with engine.connect() as connection:
        at, body = connection.execute(select(incident_plots.c.made_at, incident_plots.c.body)).one()

    assert at == AT
    assert len(body) < 6_500
    assert json.loads(body)["strategy"] == "trend"
