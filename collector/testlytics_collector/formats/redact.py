"""Takes secrets out of what tests say of themselves.

Reports are kept for years and shown to many; a token that a test put into a property must not be
among them. A value is replaced as a whole where its name or its form says that it is a secret:

- the name holds the word of one (`password`, `secret`, `token`, `api key`, `credentials`,
  `authorization`), also inside the value (`…?token=…`, `Password=…;`);
- it has the form of a known token, a private key, or a URL with a password;
- it is long and of the mixture that only chance makes: upper and lower case and digits, changing
  more often than words do. Hashes in hexadecimal, UUIDs, paths and names of classes are not.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from functools import lru_cache
from itertools import pairwise

REDACTED = "<redacted>"
"""What stands in place of a secret."""

_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
_SECRET_WORDS = frozenset(
    {"authorization", "bearer", "passphrase", "passwords", "pwd", "secrets", "credentials"}
)
_SECRET_ENDS = ("password", "passwd", "passcode", "secret", "token", "apikey", "credential")
_SECRET_KEYS = frozenset(
    {"access", "account", "api", "auth", "deploy", "encryption", "master", "private", "secret"}
    | {"session", "shared", "signing", "ssh", "storage"}
)
_SECRET_TOKENS = frozenset({"access", "api", "auth", "bearer", "refresh", "session"})
# What a name says at its end may be about a secret and none itself.
_ABOUT = frozenset(
    {"count", "counts", "enabled", "expired", "expires", "expiry", "index", "kind", "length"}
    | {"limit", "name", "names", "policy", "present", "required", "size", "ttl", "type", "used"}
)
_HARMLESS = frozenset({"", "0", "1", "false", "n/a", "no", "none", "null", "true", "yes", "***"})

_KNOWN_FORM = re.compile(
    r"""
    (?<![A-Za-z0-9])(?:
        gh[pousr]_[A-Za-z0-9]{16,} | github_pat_\w{16,} | gl[a-z]{2,5}-[\w-]{16,}
      | (?:AKIA|ASIA|ABIA|ACCA)[A-Z0-9]{12,} | xox[a-z]-[\w-]{8,} | xapp-[\w-]{8,}
      | (?<![\w-])sk-(?=[\w-]*\d)(?=[\w-]*[A-Z])[\w-]{16,} | [sr]k_(?:live|test)_\w{8,}
      | AIza[\w-]{30,} | npm_[A-Za-z0-9]{30,} | pypi-[\w-]{30,} | dckr_pat_[\w-]{16,}
      | hf_[A-Za-z0-9]{30,} | shp[a-z]{2}_[0-9a-f]{30,} | SG\.[\w-]{16,}\.[\w-]{16,}
      | eyJ[\w-]{8,}\.[\w-]{4,}\.
    )
  | -----BEGIN\ [A-Z0-9 ]{0,40}PRIVATE\ KEY
  | [A-Za-z][\w+.-]{0,40}://[^/\s:@]{0,256}:[^/\s@]{1,1000}@
  | \b(?i:bearer|basic)\s+(?=[\w+/.~-]*[\d=])[\w+/.~-]{16,}
  | \bhooks\.slack\.com/services/T\w+/
    """,
    re.VERBOSE,
)
_ASSIGNMENT = re.compile(r"(?<![\w.])([A-Za-z][\w.-]{2,59})=([^\s&;,\"']{1,200})")
_RUN = re.compile(r"(?<![\w+/=.-])(?!(?:sha|SHA)\d{3}[-:])[A-Za-z0-9+/_-]{32,}={0,2}(?![\w+/=.])")
_DIGITS_INSIDE = re.compile(r"(?<=[A-Za-z])\d+(?=[A-Za-z])")


def redacted(name: str, value: str) -> str:
    """Give the value of a property, or what stands in its place.

    Args:
        name: The property's name.
        value: Its value.

    Returns:
        The value itself, or `REDACTED`.
    """
    if value.strip().lower() in _HARMLESS:
        return value
    return REDACTED if is_secret_name(name[:200]) or holds_secret(value) else value


@lru_cache(maxsize=4096)
def is_secret_name(name: str) -> bool:
    """Tell whether what goes by this name is a secret: `apiKey`, `DB_PASSWORD`, `my-secret`."""
    words = [word.lower() for word in _WORD.findall(name)]
    if not words or words[-1] in _ABOUT:
        return False
    if any(word in _SECRET_WORDS or word.endswith(_SECRET_ENDS) for word in words):
        return True
    return any(
        (second in ("key", "keys") and first in _SECRET_KEYS)
        or (second == "tokens" and first in _SECRET_TOKENS)
        for first, second in pairwise(words)
    )


def holds_secret(text: str) -> bool:
    """Tell whether a text has a secret in it, by its form."""
    if len(text) < 8:
        return False
    if _KNOWN_FORM.search(text):
        return True
    for name, value in _ASSIGNMENT.findall(text) if "=" in text else ():
        if value.lower() not in _HARMLESS and is_secret_name(name):
            return True
    return len(text) >= 32 and any(_is_chance(run) for run in _RUN.findall(text))


def _is_chance(text: str) -> bool:
    """Tell whether a text without spaces is of the mixture that only chance makes."""
    kinds = [(c.isupper(), c.islower(), c.isdigit()) for c in text if c.isalnum()]
    if len(kinds) < 30 or len(set(kinds)) < 3 or len(_DIGITS_INSIDE.findall(text)) < 3:
        return False
    changes = sum(one != other for one, other in pairwise(kinds))
    counts = Counter(text).values()
    entropy = -sum(n / len(text) * math.log2(n / len(text)) for n in counts)
    return changes > len(kinds) / 2 and entropy > 4
