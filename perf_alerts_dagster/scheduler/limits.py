"""How long Dagster's daemon, schedules and runs may take before something counts as wrong."""

from datetime import timedelta

# A daemon beats about every 30 s and counts as silent after this; Dagster itself calls it healthy
# for 30 minutes. The sensor, which sweeps every 30 s, has as long.
SILENT = timedelta(seconds=120)

# A due time without a tick counts as missed in a status answer after MISSED, and is reported as
# an incident only after MISSED_REPORTED: a status corrects itself at the next look, while a
# message about a daemon that was busy has been sent. The sensor must then have seen it missing
# for MISSED_SEEN: after an outage scheduler and sensor start together, and the late tick comes
# first.
MISSED = timedelta(seconds=120)
MISSED_REPORTED = timedelta(minutes=5)
MISSED_SEEN = timedelta(seconds=90)

# A tick carries the time at which it was due. One further ahead than two clocks differ means that
# the clock jumped, and its schedule stays silent until then.
SKEW = timedelta(seconds=60)

# A process takes its run's lock within seconds. After RUN_STARTED one that has no lock was killed,
# and its run is ended; a run that is still queued after RUN_QUEUED is waiting for a daemon.
RUN_STARTED = timedelta(seconds=60)
RUN_QUEUED = timedelta(minutes=3)
