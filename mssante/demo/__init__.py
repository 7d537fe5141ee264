"""The demo: two operators on this machine, and the sample letters they exchange."""
