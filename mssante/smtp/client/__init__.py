"""Letters on their way to other operators: the courier, its connection, and who is asked for a domain."""
