"""Tokens of the service: who may do what, in a file beside the store.

Not in the store itself: the file must be readable and writable while the service holds the store.
A token is shown once, when it is made; only its SHA-256 is kept. The tokens are 32 random bytes, so
that a slow hash would protect nothing more.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import json
import os
import re
import secrets
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec

from testlytics_collector.errors import ConfigError, Error, NotFoundError

try:
    import fcntl
except ImportError:  # pragma: no cover - Windows: two who change it at once are on their own
    fcntl = None  # type: ignore[assignment]

SCOPES = ("ingest", "read", "admin")
"""What a token can allow: to upload, to ask, and to see the service's own figures."""

_PREFIX = "tly_"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


class Token(msgspec.Struct, frozen=True, kw_only=True):
    """What is kept of a token.

    Attributes:
        name: Its name, unique; tells in lists and logs who it was.
        project: The only project it opens; None for all.
        scopes: Some of `SCOPES`.
        sha256: Of the token itself, hexadecimal.
        created: When it was made, ISO 8601 in UTC.
    """

    name: str
    project: str | None
    scopes: tuple[str, ...]
    sha256: str
    created: str


class _File(msgspec.Struct):
    schema: int
    tokens: list[Token]


def tokens_path(store: Path) -> Path:
    """Return where the tokens of a store are kept."""
    return store.with_name(f"{store.name}.tokens")


def read_tokens(store: Path) -> tuple[Token, ...]:
    """Read the tokens of a store; none where there is no file.

    Raises:
        Error: The file cannot be read, or is not what `create_token` writes.
    """
    path = tokens_path(store)
    try:
        return tuple(msgspec.json.decode(path.read_bytes(), type=_File).tokens)
    except FileNotFoundError:
        return ()
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise Error(
            f"The tokens in {path} cannot be read: {type(error).__name__}.",
            slug="tokens-unreadable",
            hint="Look at its rights; where it is damaged, remove it and make new tokens.",
        ) from error


def create_token(
    store: Path, name: str, *, project: str | None, scopes: Sequence[str], created: str
) -> str:
    """Make a token.

    Args:
        store: The store's file.
        name: A name that no other token has.
        project: The only project it opens; None for all.
        scopes: Some of `SCOPES`.
        created: The present, ISO 8601 in UTC.

    Returns:
        The token. It is kept nowhere.

    Raises:
        ConfigError: The name is taken or unusable, or a scope is unknown.
        Error: The file cannot be read or written.
    """
    if not _NAME.fullmatch(name):
        raise ConfigError(
            f"The name {name!r}: 1 to 64 letters, digits, '.', '_' or '-' were expected.",
            slug="token-name",
        )
    if not scopes or set(scopes) - set(SCOPES):
        raise ConfigError(
            f"The scopes {', '.join(map(repr, scopes)) or 'none'}: some of "
            f"{', '.join(SCOPES)} were expected.",
            slug="token-scopes",
        )
    secret = _PREFIX + secrets.token_urlsafe(32)
    with _changing(store):
        known = read_tokens(store)
        if any(one.name == name for one in known):
            raise ConfigError(
                f"There is a token {name!r} already.",
                slug="token-name",
                hint="Take another name, or revoke that one first.",
            )
        made = Token(
            name=name,
            project=project,
            scopes=tuple(one for one in SCOPES if one in scopes),
            sha256=_hash(secret),
            created=created,
        )
        _write(store, [*known, made])
    return secret


def revoke_token(store: Path, name: str) -> None:
    """Make a token worthless, also for a service that runs.

    Raises:
        NotFoundError: There is none of this name.
        Error: The file cannot be read or written.
    """
    with _changing(store):
        known = read_tokens(store)
        left = [one for one in known if one.name != name]
        if len(left) == len(known):
            raise NotFoundError(
                f"There is no token {name!r}.",
                slug="token-unknown",
                hint="List them with: testlytics serve token list",
            )
        _write(store, left)


def find_token(tokens: Sequence[Token], secret: str) -> Token | None:
    """Return the token that is meant, comparing with all, each in the same time."""
    wanted = _hash(secret).encode()
    found = None
    for one in tokens:
        if hmac.compare_digest(one.sha256.encode(), wanted):
            found = one
    return found


class _Seen(NamedTuple):
    stamp: tuple[int, ...] | None
    tokens: tuple[Token, ...]


class Keyring:
    """The tokens of a store as they are now: the file is read again when it has changed.

    Args:
        store: The store's file.
        is_open: Whether everybody may do everything for as long as there is no token. Once there
            was one, it takes one.
    """

    def __init__(self, store: Path, *, is_open: bool) -> None:
        self._store, self._is_open = store, is_open
        self._seen = _Seen((), ())

    def tokens(self) -> tuple[Token, ...]:
        """Return the tokens.

        Raises:
            Error: The file cannot be read.
        """
        stamp = self._stamp()
        if stamp != self._seen.stamp:
            self._seen = _Seen(stamp, read_tokens(self._store))
            if self._seen.tokens:
                self._is_open = False
        return self._seen.tokens

    @property
    def is_open(self) -> bool:
        """Whether no token is asked for."""
        return not self.tokens() and self._is_open

    def _stamp(self) -> tuple[int, ...] | None:
        try:
            found = tokens_path(self._store).stat()
        except FileNotFoundError:
            return None
        except OSError:
            return (-1,)  # reading it will say why
        return found.st_ino, found.st_mtime_ns, found.st_size


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "surrogateescape")).hexdigest()


@contextlib.contextmanager
def _changing(store: Path) -> Iterator[None]:
    """Keep others from changing the file meanwhile."""
    lock = tokens_path(store).with_name(f"{tokens_path(store).name}.lock")
    try:
        store.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(lock, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise _unwritable(lock, error) from error
    try:
        if fcntl is not None:
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _write(store: Path, tokens: Sequence[Token]) -> None:
    """Put the file in place whole, readable by its owner alone from its first byte."""
    path = tokens_path(store)
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    document = {"schema": 1, "tokens": [msgspec.to_builtins(one) for one in tokens]}
    try:
        part.unlink(missing_ok=True)
        handle = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with open(handle, "w", encoding="utf-8") as file:  # noqa: PTH123 - it is open already
            json.dump(document, file, indent=2)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except OSError as error:
        raise _unwritable(path, error) from error
    finally:
        part.unlink(missing_ok=True)


def _unwritable(path: Path, error: OSError) -> Error:
    return Error(
        f"Cannot write {path}: {error.strerror}.",
        slug="tokens-unwritable",
        hint="It lies beside the store; choose one in a folder you may write to.",
    )
