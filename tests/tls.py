"""TLS in front of servers that speak plainly, as a host's edge and a hosted Redis put it there."""

import asyncio
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from assisters_app.base.clock import now


@dataclass(frozen=True, slots=True)
class Certificate:
    """A certificate for this machine that signed itself: whoever is given `path` trusts it."""

    path: Path
    key: Path


def certify(home: Path) -> Certificate:
    """Make a certificate for localhost in `home`."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    names = x509.SubjectAlternativeName([x509.DNSName("localhost"), x509.IPAddress(ip_address("127.0.0.1"))])
    signed = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now() - timedelta(days=1))
        .not_valid_after(now() + timedelta(days=1))
        .add_extension(names, critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    made = Certificate(home / "certificate.pem", home / "key.pem")
    made.path.write_bytes(signed.public_bytes(serialization.Encoding.PEM))
    plain, kind = serialization.NoEncryption(), serialization.PrivateFormat.PKCS8
    made.key.write_bytes(key.private_bytes(serialization.Encoding.PEM, kind, plain))
    return made


@contextmanager
def in_front_of(
    port: int, listen: int, certificate: Certificate, oldest: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3
) -> Iterator[None]:
    """Hand on what arrives over TLS at the port `listen` to `port`, for the length of the block."""
    terms = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    terms.minimum_version = oldest
    terms.load_cert_chain(certificate.path, certificate.key)
    serving = _Serving(port, listen, terms)
    serving.start()
    assert serving.begun.wait(10)
    try:
        yield
    finally:
        serving.end()
        serving.join()


class _Serving(threading.Thread):
    """A thread of its own, because whoever drives a browser keeps the first one's event loop."""

    def __init__(self, port: int, listen: int, terms: ssl.SSLContext):
        super().__init__()
        self.begun = threading.Event()
        self._port, self._listen, self._terms = port, listen, terms

    def run(self) -> None:
        asyncio.run(self._serve())

    def end(self) -> None:
        self._loop.call_soon_threadsafe(self._over.set)

    async def _serve(self) -> None:
        self._loop, self._over = asyncio.get_running_loop(), asyncio.Event()
        server = await asyncio.start_server(self._hand_on, "127.0.0.1", self._listen, ssl=self._terms)
        self.begun.set()
        await self._over.wait()
        server.close()

    async def _hand_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, asyncio.CancelledError):
            back, forth = await asyncio.open_connection("127.0.0.1", self._port)
            await asyncio.gather(_pour(reader, forth), _pour(back, writer))


async def _pour(source: asyncio.StreamReader, into: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await source.read(65_536):
            into.write(data)
            await into.drain()
    into.close()
