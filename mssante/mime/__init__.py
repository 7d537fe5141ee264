"""Mail messages as octets: what they are made of, and the few we write ourselves.

Pure: no I/O, no time, no chance.
"""
