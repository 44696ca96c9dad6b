"""Names that the documentation of the version before gave are found for one version more."""

import pytest

from perf_alerts_dagster.api import client as moved
from perf_alerts_dagster.proxy import calls, client


def test_the_client_and_its_error_are_found_where_they_were() -> None:
    from perf_alerts_dagster.proxy.calls import ApiError
    from perf_alerts_dagster.proxy.client import AlertsClient

    assert AlertsClient is moved.AlertsClient
    assert ApiError is moved.ApiError


def test_a_name_that_was_never_there_is_not_found() -> None:
    for module in (calls, client):
        with pytest.raises(AttributeError):
            module.Nothing  # noqa: B018 - the look-up is what is tested
