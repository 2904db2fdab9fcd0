"""How a process reaches the message broker: the table `[broker]` of its configuration."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta

from runtime.bus import BusOptions, TlsFiles, Will
from runtime.config import Host
from runtime.errors import StartError

PASSWORD_BYTES_MAX = 4_096


class BrokerConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where the message broker listens, and how we show who we are."""

    host: Host = "127.0.0.1"
    """Name or address of the broker; with `tls` one that its certificate names."""
    port: Annotated[int, Meta(ge=1, le=65_535)] = 1883
    """Its port."""
    username: str = ""
    """Empty: none asked for."""
    password: str = ""
    """Goes with the user name."""
    password_file: str = ""
    """In place of `password`: a file with it in its first line, as `stockhelm keys` makes it."""
    tls: TlsFiles = TlsFiles()

    def __post_init__(self) -> None:
        """Raise ValueError where keys do not go together."""
        if bool(self.tls.certificate) != bool(self.tls.key):
            raise ValueError("broker.tls: expected certificate and key together, or neither")
        if self.tls.certificate and not self.tls.ca:
            raise ValueError("broker.tls: expected ca beside the certificate")
        if self.password and self.password_file:
            raise ValueError("broker: expected password or password_file, got both")
        if self.password_file and not self.username:
            raise ValueError("broker: expected username beside password_file")


def bus_options(
    broker: BrokerConfig, client_id: str, *, will: Will | None = None, clean_session: bool = True
) -> BusOptions:
    """Return how to reach `broker`. Raises StartError where the password cannot be read.

    With TLS, who has a name at the broker has it as client id too: it is bound to it there.
    """
    named = bool(broker.tls.ca and broker.username)
    return BusOptions(
        client_id=broker.username if named else client_id,
        host=broker.host,
        port=broker.port,
        username=broker.username,
        password=_password(broker),
        tls=broker.tls if broker.tls.ca else None,
        will=will,
        clean_session=clean_session,
    )


def _password(broker: BrokerConfig) -> str:
    if not broker.password_file:
        return broker.password
    try:
        with Path(broker.password_file).open(encoding="utf-8") as file:
            return file.readline(PASSWORD_BYTES_MAX).rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        raise StartError(
            f"broker.password_file = {broker.password_file!r}: expected a file with the password"
            f" in its first line: {getattr(error, 'strerror', None) or error}"
        ) from error
