"""Runs an issuer of OpenID Connect tokens on this machine, with real RSA keys."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import hmac
import json
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

AUDIENCE = "https://tests.example.org"


def part(value: bytes) -> str:
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode()


def new_key(bits: int = 2048) -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=bits)


def public_pem(key: rsa.RSAPrivateKey) -> bytes:
    return key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )


@dataclass
class Issuer:
    """An issuer that runs.

    Attributes:
        keys: What it publishes, by key id.
        asked: How often its keys were asked for.
        status: What it answers with.
    """

    keys: dict[str, rsa.RSAPrivateKey] = field(default_factory=dict)
    more: list[object] = field(default_factory=list)
    address: str = ""
    asked: int = 0
    status: int = 200

    def jwks(self) -> bytes:
        listed: list[object] = [
            json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(key.public_key()))
            | {"kid": kid, "alg": "RS256", "use": "sig"}
            for kid, key in self.keys.items()
        ]
        return json.dumps({"keys": [*self.more, *listed]}).encode()

    def claims(self, **more: object) -> dict[str, object]:
        """Return the claims of a job on the main branch of acme/shop."""
        now = int(time.time())
        base = {"iss": self.address, "aud": AUDIENCE, "iat": now, "nbf": now, "exp": now + 300}
        job = {"repository": "acme/shop", "ref": "refs/heads/main", "event_name": "push"}
        return {**base, **job, **more}

    def token(
        self,
        kid: str = "one",
        *,
        key: rsa.RSAPrivateKey | None = None,
        headers: Mapping[str, object] = {},
        claims: Mapping[str, object] = {},
    ) -> str:
        """Sign the claims of a job; those that are None are left out."""
        said = {name: value for name, value in self.claims(**claims).items() if value is not None}
        return jwt.encode(
            said, key or self.keys[kid], algorithm="RS256", headers={"kid": kid, **headers}
        )

    def forged(self, alg: str, secret: bytes = b"") -> str:
        """Return a token with another algorithm: `none`, or HS256 with what is no secret."""
        head = part(json.dumps({"alg": alg, "kid": "one", "typ": "JWT"}).encode())
        whole = f"{head}.{part(json.dumps(self.claims()).encode())}"
        signed = hmac.new(secret, whole.encode(), hashlib.sha256).digest() if secret else b""
        return f"{whole}.{part(signed)}"

    def trusting(self, folder: Path, **more: object) -> Path:
        """Write a file that trusts this issuer."""
        told = {"issuer": self.address, "audience": AUDIENCE, "repository": "acme/shop"}
        told |= {"project": "shop", **more}  # type: ignore[dict-item]
        lines = [f"{name} = {_toml(value)}" for name, value in told.items()]
        path = folder / "oidc.toml"
        path.write_text("\n".join(["[[trust]]", *lines, ""]))
        return path


def _toml(value: object) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key} = {_toml(one)}" for key, one in value.items()) + "}"
    return json.dumps(value)


@contextlib.contextmanager
def issuing() -> Iterator[Issuer]:
    """Run an issuer with one key while the block runs."""
    issuer = Issuer({"one": new_key()})

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            issuer.asked += 1
            body = issuer.jwks() if self.path == "/.well-known/jwks" else b"{}"
            self.send_response(issuer.status)
            if issuer.status == 302:
                self.send_header("Location", "/elsewhere")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    issuer.address = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield issuer
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
