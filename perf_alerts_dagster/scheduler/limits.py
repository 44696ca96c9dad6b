"""Time limits of Dagster's daemon, schedules, runs and messages: beyond them they are faulty."""

from datetime import timedelta

# A daemon beats about every 30 s and counts as silent after this; Dagster itself calls it healthy
# for 30 minutes. The sensor, which sweeps every 30 s, has as long.
SILENT = timedelta(seconds=120)

# A due time without a tick counts as missed in a status answer after MISSED, and is reported as
# an incident only after MISSED_REPORTED, since a message cannot be corrected, and once the sensor
# has seen it missing for MISSED_SEEN: after an outage scheduler and sensor start together, and the
# late tick comes first.
MISSED = timedelta(seconds=120)
MISSED_REPORTED = timedelta(minutes=5)
MISSED_SEEN = timedelta(seconds=105)

# The alert store counts as unavailable after this: a locked or restarting one has recovered.
STORE = timedelta(seconds=60)
# A message that waits for this long has failed several times.
STUCK = timedelta(minutes=5)

# Without a sign of life for this long the system was down, asleep, or its clock was set; a
# planned restart is shorter. Several times within REMEMBERED are one.
DOWN = timedelta(minutes=5)
REMEMBERED = timedelta(hours=1)

# A tick carries its due time. A tick further in the future than two clocks differ means that the
# clock jumped, and its schedule stays silent until then.
SKEW = timedelta(seconds=60)

# A process takes its run's lock within seconds. After RUN_STARTED a run without a lock was killed,
# and is ended; a run that is still queued after RUN_QUEUED is waiting for a daemon.
RUN_STARTED = timedelta(seconds=60)
RUN_QUEUED = timedelta(minutes=3)
