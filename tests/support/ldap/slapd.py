"""A real slapd for tests, on loopback, with the development directory and what a test adds to it."""

from __future__ import annotations

import datetime
import ipaddress
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from mssante.demo.annuaire import dev_ldif_path
from mssante.demo.annuaire.slapd import Running, TlsFiles, serve


@contextmanager
def slapd(folder: Path, *, more: bytes = b"", tls: TlsFiles | None = None) -> Iterator[Running]:
    """dev.ldif and `more` records, served. The tests fail, they do not skip, when slapd is missing."""
    data = folder / "directory.ldif"
    data.write_bytes(dev_ldif_path().read_bytes() + b"\n" + more)
    with serve(data, tls=tls, into=folder) as running:
        yield running


def tls_files(folder: Path, *, name: str = "loopback") -> TlsFiles:
    """A certificate for 127.0.0.1 from an authority of its own."""
    folder.mkdir(exist_ok=True)
    authority_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    authority = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"test authority {name}")])
    now = datetime.datetime.now(datetime.UTC)

    def certificate(subject: x509.Name, of: ec.EllipticCurvePrivateKey, *, is_ca: bool) -> x509.Certificate:
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(authority)
            .public_key(of.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(hours=1))
            .not_valid_after(now + datetime.timedelta(days=1))
            .add_extension(x509.BasicConstraints(ca=is_ca, path_length=None), critical=True)
        )
        if not is_ca:
            names = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
            builder = builder.add_extension(names, critical=False)
        return builder.sign(authority_key, hashes.SHA256())

    leaf = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    files = TlsFiles(certificate=folder / "cert.pem", key=folder / "key.pem", ca=folder / "ca.pem")
    files.certificate.write_bytes(_pem(certificate(leaf, key, is_ca=False)))
    files.ca.write_bytes(_pem(certificate(authority, authority_key, is_ca=True)))
    files.key.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return files


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)
