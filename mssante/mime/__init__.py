"""Mail messages as octets: what they are made of, and the few we write ourselves.

Pure: nothing here does I/O, asks for the time or uses random numbers.
"""
