"""As on Cloud Run: Google's own names, over TLS, asked with a token from the metadata server. Behind them are the emulators.

A process that is started in this environment finds `pubsub.googleapis.com` and the others here, and trusts the certificate
authority that vouches for them, as it would trust the system's: none of our code knows that it is not in the cloud.
"""

import contextlib
import hashlib
import http.client
import json
import ssl
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from tests.stack.metadata import Metadata, metadata_server
from tests.stack.serving import served

METADATA = "metadata.google.internal"
NAMES = {"PUBSUB_EMULATOR_HOST": "pubsub.googleapis.com", "FIRESTORE_EMULATOR_HOST": "firestore.googleapis.com"}

# Where this folder is on PYTHONPATH, Python runs this before anything else.
_ELSEWHERE = """
import socket
FOUND, AT = socket.getaddrinfo, {at!r}
socket.getaddrinfo = lambda host, port, *more, **named: FOUND(*AT.get(host, (host, port)), *more, **named)
"""


@contextmanager
def deployed(
    emulators: Mapping[str, str], service: str = "webhook-stripe"
) -> Iterator[tuple[dict[str, str], Metadata]]:
    """The environment of a function on Cloud Run in front of `emulators`, and the metadata server that it asks."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        metadata = stack.enter_context(metadata_server())
        tls = authority(folder)
        at = {METADATA: _apart(metadata.host)}
        for variable, name in NAMES.items():
            if variable in emulators:
                at[name] = _apart(stack.enter_context(served(_front(emulators[variable]), tls)))
        (folder / "sitecustomize.py").write_text(_ELSEWHERE.format(at=at))
        yield (
            {
                "PAYIN_BACKEND": "gcp",
                "K_SERVICE": service,
                "PYTHONPATH": str(folder),
                "SSL_CERT_FILE": str(folder / "authorities.pem"),
                "SSL_CERT_DIR": str(folder / "authorities"),
                "PAYIN_PSEUDONYM_KEYS": json.dumps({"current": "1", "keys": {"1": "k" * 32}}),
            },
            metadata,
        )


def _apart(address: str) -> tuple[str, int]:
    host, _, port = address.rpartition(":")
    return host, int(port)


def _front(emulator: str) -> type[BaseHTTPRequestHandler]:
    """Passes on to `emulator` what comes with a token of ours; 401 for anything else."""

    class Front(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        behind: http.client.HTTPConnection | None = None

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            status, answer = 401, b"{}"
            if self.headers.get("authorization", "").startswith("Bearer token-"):
                if self.behind is None:
                    self.behind = http.client.HTTPConnection(emulator)
                owner = {"content-type": "application/json", "authorization": "Bearer owner"}
                self.behind.request("POST", self.path, body, owner)
                answered = self.behind.getresponse()
                status, answer = answered.status, answered.read()
            self.send_response(status)
            self.send_header("content-length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its own word
            return

    return Front


def authority(folder: Path, *vouched_for: str) -> ssl.SSLContext:
    """A certificate authority beside the system's own, kept as Debian keeps them: a file of all in `authorities.pem`, a folder
    in `authorities`. The context of a server that it vouches for under these names, or Google's."""
    root_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    root = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "payin stand-in authority")])
    now = datetime.now(UTC)

    def certificate(name: x509.Name, public: ec.EllipticCurvePublicKey, more: x509.ExtensionType) -> bytes:
        built = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(root)
            .public_key(public)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=1))
            .not_valid_after(now + timedelta(days=1))
            .add_extension(more, critical=True)
        )
        return built.sign(root_key, SHA256()).public_bytes(Encoding.PEM)

    authority = certificate(root, root_key.public_key(), x509.BasicConstraints(ca=True, path_length=None))
    names = x509.SubjectAlternativeName([x509.DNSName(name) for name in vouched_for or NAMES.values()])
    own = certificate(x509.Name([]), key.public_key(), names)
    secret = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (folder / "server.pem").write_bytes(own + secret)
    system = ssl.get_default_verify_paths()
    everybody = Path(system.cafile).read_bytes() if system.cafile else b""
    (folder / "authorities.pem").write_bytes(everybody + authority)
    links = folder / "authorities"
    links.mkdir()
    for link in Path(system.capath or links).glob("*.0"):
        with contextlib.suppress(FileExistsError):
            (links / link.name).symlink_to(link.resolve())
    (links / f"{_hash(root)}.0").write_bytes(authority)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "server.pem")
    return context


def _hash(name: x509.Name) -> str:
    """By what OpenSSL finds an authority's file: SHA-1 of the name in lower case, which this one is, without its outermost
    frame; four bytes of it, the last first. https://docs.openssl.org/3.0/man1/openssl-rehash/"""
    inner = name.public_bytes()[2:]
    return hashlib.sha1(inner, usedforsecurity=False).digest()[3::-1].hex()
