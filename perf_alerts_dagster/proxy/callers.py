"""Who may call an endpoint: one parameter type per permission."""

from typing import Annotated

from fastapi import Depends

from perf_alerts_dagster.application.identity import Permission, Principal
from perf_alerts_dagster.proxy.identity.roles import require

StatusViewer = Annotated[Principal, Depends(require(Permission.VIEW_STATUS))]
HistoryViewer = Annotated[Principal, Depends(require(Permission.VIEW_HISTORY))]
Triggerer = Annotated[Principal, Depends(require(Permission.TRIGGER))]
Switcher = Annotated[Principal, Depends(require(Permission.TOGGLE))]
Administrator = Annotated[Principal, Depends(require(Permission.ADMIN))]
