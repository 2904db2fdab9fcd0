"""The small certificate authority: EC P-256 keys, certificates for names and hosts, a CRL."""

from __future__ import annotations

import datetime as dt
import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from runtime.clock import NS_PER_S

CA_DAYS: Final = 3_650
LEAF_DAYS: Final = 365
LEAF_DAYS_MAX: Final = 3_650
BACKDATED: Final = dt.timedelta(minutes=5)
"""A device whose clock is a little behind takes a new certificate all the same."""


@dataclass(frozen=True, slots=True)
class Issued:
    """A certificate and its key, as PEM."""

    certificate: bytes
    key: bytes
    serial: str
    """Hexadecimal."""
    expires_at_ns: int


def _utc(at_ns: int) -> dt.datetime:
    return dt.datetime.fromtimestamp(at_ns // NS_PER_S, tz=dt.UTC)


def _name(common_name: str, unit: str = "") -> x509.Name:
    parts = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, "stockhelm")]
    if unit:
        parts.append(x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, unit))
    return x509.Name([*parts, x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def _usage(*, authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=authority,
        crl_sign=authority,
        encipher_only=False,
        decipher_only=False,
    )


def make_authority(now_ns: int, days: int = CA_DAYS) -> Issued:
    """Return a new certificate authority, signed by itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = _name("stockhelm site CA")
    until = _utc(now_ns) + dt.timedelta(days=days)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(_utc(now_ns) - BACKDATED)
        .not_valid_after(until)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(authority=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    return _issued(made, key)


class Authority:
    """A certificate authority that was made before."""

    def __init__(self, certificate: bytes, key: bytes) -> None:
        self._certificate = x509.load_pem_x509_certificate(certificate)
        found = serialization.load_pem_private_key(key, password=None)
        own = self._certificate.public_key()
        if not isinstance(found, ec.EllipticCurvePrivateKey) or found.public_key() != own:
            raise ValueError("it does not belong to the certificate")
        self._key = found

    @property
    def expires_at_ns(self) -> int:
        """Return when it ends."""
        return _ns(self._certificate.not_valid_after_utc)

    def issue(
        self, name: str, unit: str, *, now_ns: int, days: int, hosts: Sequence[str] = ()
    ) -> Issued:
        """Return a certificate for `name`; with hosts a server may show it too.

        It never lasts longer than the authority itself.
        """
        key = ec.generate_private_key(ec.SECP256R1())
        until = min(_utc(now_ns) + dt.timedelta(days=days), self._certificate.not_valid_after_utc)
        uses = [ExtendedKeyUsageOID.CLIENT_AUTH]
        if hosts:
            uses.append(ExtendedKeyUsageOID.SERVER_AUTH)
        issuer = self._key.public_key()
        builder = (
            x509.CertificateBuilder()
            .subject_name(_name(name, unit))
            .issuer_name(self._certificate.subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(min(_utc(now_ns) - BACKDATED, until))
            .not_valid_after(until)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(authority=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage(uses), critical=False)
            .add_extension(
                x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False
            )
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer), critical=False
            )
        )
        if hosts:
            names = x509.SubjectAlternativeName([host_name(host) for host in hosts])
            builder = builder.add_extension(names, critical=False)
        return _issued(builder.sign(self._key, hashes.SHA256()), key)

    def revocations(self, revoked: Sequence[tuple[str, int]], now_ns: int) -> bytes:
        """Return the CRL as PEM for (serial, when) pairs.

        It lasts as long as the authority: a broker refuses everybody once its CRL is out of date.
        """
        builder = (
            x509.CertificateRevocationListBuilder()
            .issuer_name(self._certificate.subject)
            .last_update(_utc(now_ns) - BACKDATED)
            .next_update(self._certificate.not_valid_after_utc)
        )
        for serial, at_ns in revoked:
            builder = builder.add_revoked_certificate(
                x509.RevokedCertificateBuilder()
                .serial_number(int(serial, 16))
                .revocation_date(_utc(at_ns))
                .build()
            )
        return builder.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def host_name(host: str) -> x509.GeneralName:
    """Return a host as it stands in a certificate. Raises ValueError where it is none."""
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _issued(made: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> Issued:
    return Issued(
        certificate=made.public_bytes(serialization.Encoding.PEM),
        key=_key_pem(key),
        serial=f"{made.serial_number:x}",
        expires_at_ns=_ns(made.not_valid_after_utc),
    )


def _ns(at: dt.datetime) -> int:
    return int(at.timestamp()) * NS_PER_S
