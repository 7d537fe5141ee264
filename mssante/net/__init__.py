"""Sockets and nothing else: the stream, the listener, the throttle, the status page."""
