"""Drives Chromium through a pipe of its DevTools protocol; nothing but the standard library."""

from __future__ import annotations

import base64
import fcntl
import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from select import select
from typing import Any

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser"))), None)
"""The browser on this machine; None where there is none."""

PATIENCE_S = 60
"""A browser that says nothing for so long is stuck."""


class Browser:
    """One page in a browser.

    Args:
        commands: What the browser reads from.
        answers: What it writes to.
    """

    def __init__(self, commands: int, answers: int) -> None:
        self._commands, self._answers = commands, answers
        self._left = b""
        self._number = 0
        self._session: str | None = None
        self.events: list[dict[str, Any]] = []
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        told = self.call("Target.attachToTarget", targetId=target, flatten=True)
        self._session = told["sessionId"]
        for name in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{name}.enable")

    def call(self, method: str, **parameters: object) -> dict[str, Any]:
        """Call a method of the protocol and return its result."""
        self._number += 1
        message: dict[str, Any] = {"id": self._number, "method": method, "params": parameters}
        if self._session is not None:
            message["sessionId"] = self._session
        os.write(self._commands, json.dumps(message).encode() + b"\0")
        while True:
            told = self._read()
            if told.get("id") == self._number:
                assert "error" not in told, (method, told)
                result: dict[str, Any] = told["result"]
                return result
            self.events.append(told)

    def open(self, url: str) -> None:
        """Open a page and wait until it is loaded."""
        self.events.clear()
        self.call("Page.navigate", url=url)
        while not self.said("Page.loadEventFired"):
            self.events.append(self._read())

    def follow(self, expression: str) -> None:
        """Evaluate JavaScript that leads to another page, and wait until that is loaded."""
        self.events.clear()
        self.call("Runtime.evaluate", expression=expression)
        while not self.said("Page.loadEventFired"):
            self.events.append(self._read())

    def said(self, method: str) -> list[dict[str, Any]]:
        """What the page has said under a name since it was opened."""
        return [one["params"] for one in self.events if one.get("method") == method]

    def ask(self, expression: str) -> Any:  # noqa: ANN401 - whatever the page answers
        """Evaluate JavaScript in the page."""
        told = self.call("Runtime.evaluate", expression=expression, returnByValue=True)
        assert "exceptionDetails" not in told, told
        return told["result"].get("value")

    def show(self, width: int, height: int, scheme: str) -> None:
        """Take a size and a colour scheme."""
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=width < 600,
        )
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self.call("Emulation.setEmulatedMedia", features=features)

    def press(self, key: str) -> None:
        """Press a key."""
        code = {"Tab": 9, "Enter": 13}[key]
        text = {"text": "\r"} if key == "Enter" else {}
        for kind, more in (("keyDown", text), ("keyUp", {})):
            self.call(
                "Input.dispatchKeyEvent", type=kind, key=key, windowsVirtualKeyCode=code, **more
            )

    def picture(self) -> bytes:
        """What is seen, as PNG."""
        return base64.b64decode(self.call("Page.captureScreenshot")["data"])

    def _read(self) -> dict[str, Any]:
        while b"\0" not in self._left:
            ready, _, _ = select([self._answers], [], [], PATIENCE_S)
            assert ready, "the browser is stuck"
            read = os.read(self._answers, 1 << 20)
            assert read, "the browser is gone"
            self._left += read
        told, _, self._left = self._left.partition(b"\0")
        message: dict[str, Any] = json.loads(told)
        return message


@contextmanager
def browser(folder: Path) -> Iterator[Browser]:
    """Start the browser with an empty profile in a folder."""
    assert CHROMIUM is not None
    theirs_read, commands = os.pipe()
    answers, theirs_write = os.pipe()
    options = ["--headless", "--disable-gpu", "--remote-debugging-pipe", "--no-first-run"]
    options += ["--disable-background-networking", f"--user-data-dir={folder}"]
    options += ["--no-sandbox"] if os.geteuid() == 0 else []
    process = subprocess.Popen(
        [CHROMIUM, *options],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        preexec_fn=_as_three_and_four(theirs_read, theirs_write),  # noqa: PLW1509 - no lock in it
        pass_fds=(3, 4),
    )
    os.close(theirs_read)
    os.close(theirs_write)
    try:
        yield Browser(commands, answers)
    finally:
        process.terminate()
        process.wait(timeout=PATIENCE_S)
        os.close(commands)
        os.close(answers)


def _as_three_and_four(read: int, write: int) -> Callable[[], None]:
    """Return what gives the two ends the numbers that the browser looks for them at."""

    def place() -> None:
        # Out of the way first: either may have the number that the other one is to get.
        apart = [fcntl.fcntl(one, fcntl.F_DUPFD, 10) for one in (read, write)]
        for number, one in enumerate(apart, 3):
            os.dup2(one, number)

    return place
