"""The whole server: proxy, API and pages in one application, with the watchdog."""
