"""The running stack: code server, guarded webserver, daemon and who watches them."""
