"""One execution of one alert, from the reading of the record to its notes."""
