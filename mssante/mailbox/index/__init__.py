"""The sealed index of words that makes searches of texts fast."""
