"""The one base of all errors, and the kinds that the layers above tell apart.

Imports nothing of this project. Only the command line and the service turn these into exit codes
and JSON.
"""

from __future__ import annotations


class Error(Exception):
    """Something that could not be done, said so that the reader knows what to do next.

    Attributes:
        message: One line: what, which value, where, what was expected.
        slug: Stable short name, the anchor in `docs/reference/messages.md`.
        hint: The next step, or None where the message says it all.
    """

    default_slug = "error"

    def __init__(self, message: str, *, slug: str | None = None, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.slug = slug or self.default_slug
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} {self.hint}" if self.hint else self.message


class ConfigError(Error):
    """An option, environment variable or configuration value is unusable (exit code 2)."""

    default_slug = "config"


class InputError(Error):
    """An input cannot be read as what it should be (exit code 3).

    Attributes:
        line: 1-based line in the input, or None where no line is meant.
        column: 1-based column, or None.
    """

    default_slug = "input"

    def __init__(
        self,
        message: str,
        *,
        slug: str | None = None,
        hint: str | None = None,
        line: int | None = None,
        column: int | None = None,
    ) -> None:
        super().__init__(message, slug=slug, hint=hint)
        self.line = line
        self.column = column


class StoreError(Error):
    """The store cannot be opened, read or written (exit code 3)."""

    default_slug = "store"


class StoreLockedError(StoreError):
    """Another process holds the store and did not let go in time (exit code 3)."""

    default_slug = "store-locked"


class NotFoundError(Error):
    """There is nothing to work on (exit code 5)."""

    default_slug = "not-found"


def unwritable(path: object, error: OSError, option: str = "--output") -> Error:
    """Say that an output file cannot be written, and with which option another is named."""
    return Error(
        f"Cannot write {path}: {error.strerror}.",
        slug="output-unwritable",
        hint=f"Choose another file with {option}.",
    )
