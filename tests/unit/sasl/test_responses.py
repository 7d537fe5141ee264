"""The lines of an exchange: strict base64, or giving up."""

from __future__ import annotations

import pytest

from mssante.model import Malformed
from mssante.sasl.responses import initial_response, response


def test_sasl_lines() -> None:
    assert response(b"*") is None
    assert response(b"") == b""
    assert response(b"YQ==") == b"a"
    assert initial_response(b"=") == b""
    assert initial_response(b"YQ==") == b"a"
    for line in (b"YQ", b"Y Q=", b"YQ==\n", b"=", b"\xff", b"**"):
        with pytest.raises(Malformed):
            response(line)
    with pytest.raises(Malformed):
        initial_response(b"*")
