"""One execution of one alert: read, plan, judge, record, notify."""
