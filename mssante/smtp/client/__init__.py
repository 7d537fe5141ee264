"""Sends letters to other operators: the courier, its connection, and how a domain's hosts are found."""
