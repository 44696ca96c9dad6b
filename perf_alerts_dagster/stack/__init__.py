"""The running processes: code server, guarded webserver, daemon, proxy, and their supervisor."""
