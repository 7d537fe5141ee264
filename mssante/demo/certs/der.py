"""Certificates that `cryptography` rightly declines to sign (SHA-1, and version 1), made from good ones.

A certificate is SEQUENCE { tbs, algorithm, BIT STRING signature } (RFC 5280 §4.1): the tbs is taken
apart, changed, and signed again with the issuer's RSA key.
"""

from __future__ import annotations

from collections.abc import Iterator

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

_SEQUENCE, _BIT_STRING, _VERSION, _EXTENSIONS = 0x30, 0x03, 0xA0, 0xA3
# AlgorithmIdentifier with NULL parameters: sha1WithRSAEncryption, sha256WithRSAEncryption (RFC 3279, 4055)
_SHA1_RSA = bytes.fromhex("300d06092a864886f70d0101050500")
_SHA256_RSA = bytes.fromhex("300d06092a864886f70d01010b0500")


def with_sha1(certificate: x509.Certificate, issuer: rsa.RSAPrivateKey) -> x509.Certificate:
    """The same certificate, signed with SHA-1."""
    return x509.load_der_x509_certificate(sha1_form(certificate.tbs_certificate_bytes, issuer))


def sha1_form(tbs: bytes, issuer: rsa.RSAPrivateKey) -> bytes:
    """The DER of a certificate or CRL whose tbs says sha256WithRSAEncryption, signed with SHA-1 instead."""
    parts = [_SHA1_RSA if part == _SHA256_RSA else part for part in _parts(tbs)]
    return _signed(parts, issuer, _SHA1_RSA, hashes.SHA1())


def version_1(certificate: x509.Certificate, issuer: rsa.RSAPrivateKey) -> x509.Certificate:
    """The same certificate without version and extensions."""
    tbs = certificate.tbs_certificate_bytes
    parts = [part for part in _parts(tbs) if part[0] not in (_VERSION, _EXTENSIONS)]
    return x509.load_der_x509_certificate(_signed(parts, issuer, _SHA256_RSA, hashes.SHA256()))


def _signed(
    parts: list[bytes], issuer: rsa.RSAPrivateKey, algorithm: bytes, digest: hashes.HashAlgorithm
) -> bytes:
    tbs = _element(_SEQUENCE, b"".join(parts))
    signature = issuer.sign(tbs, padding.PKCS1v15(), digest)
    return _element(_SEQUENCE, tbs + algorithm + _element(_BIT_STRING, b"\0" + signature))


def _element(tag: int, content: bytes) -> bytes:
    size = len(content)
    if size < 0x80:
        return bytes([tag, size]) + content
    octets = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes([tag, 0x80 | len(octets)]) + octets + content


def _parts(element: bytes) -> Iterator[bytes]:
    """The elements inside a constructed element, each with its tag and length."""
    at, end = _content(element, 0)
    while at < end:
        _, after = _content(element, at)
        yield element[at:after]
        at = after


def _content(octets: bytes, at: int) -> tuple[int, int]:
    """Where the content of the element at `at` starts and ends."""
    size, start = octets[at + 1], at + 2
    if size & 0x80:
        count = size & 0x7F
        size = int.from_bytes(octets[start : start + count], "big")
        start += count
    return start, start + size
