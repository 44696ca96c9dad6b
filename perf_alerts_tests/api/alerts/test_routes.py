"""GET /alerts over a store that was judged for months."""

from perf_alerts_tests.pages.admin_desk import desk
from perf_alerts_tests.server.apps import Proxy, serving


async def test_each_alert_has_its_sessions_with_those_that_were_left_out() -> None:
    async with serving(desk()) as http:
        data = (await http.get("/alerts")).json()["data"]
        status = (await http.get("/schedule/status")).json()["data"]

    first = data["alerts"][0]
    assert first.items() >= status["scheduled_alerts"][0].items()
    assert (first["notifies_from"], first["run_max_seconds"]) == ("warning", 900)
    assert [len(each["sessions"]) for each in data["alerts"]] == [90, 5, 1, 90, 90]
    cells = {each["cell"] for each in first["sessions"]}
    assert {"ok", "critical", "warning", "weak", "no_data", "error", "unjudged"} <= cells
    worst = next(each for each in first["sessions"] if each["cell"] == "critical")
    assert worst["strategies"] == {"critical": 1, "ok": 2}
    left_out = next(each for each in first["sessions"] if each["cell"] == "unjudged")
    assert (left_out["judged_at"], left_out["strategies"]) == (None, {})


async def test_before_the_first_judgement_there_is_no_session() -> None:
    async with serving(Proxy()) as http:
        data = (await http.get("/alerts")).json()["data"]

    assert [each["sessions"] for each in data["alerts"]] == [[]] * 5
