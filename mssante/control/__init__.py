"""What an operator does to a running or a stopped server, and the socket that carries it."""
