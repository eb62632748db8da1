"""A test that ends the process it runs in. HOW says by which means, WHEN says in which phase."""

import ctypes
import os
import signal
import time
from pathlib import Path

import pytest


def die():
    how = os.environ["HOW"]
    if how == "exit":
        os._exit(3)
    if how == "segfault":
        ctypes.string_at(0)
    if how.startswith("SIG"):
        os.kill(os.getpid(), getattr(signal, how))
        time.sleep(60)
    if how == "hang":
        time.sleep(60)
    if how == "interrupt":
        raise KeyboardInterrupt
    if how == "pytest.exit":
        pytest.exit("enough", returncode=7)
    if how == "controller":
        # Not before the controller has heard of this test.
        while "test_victim" not in Path(os.environ["TESTLYTICS_ACTIVE"]).read_text():
            time.sleep(0.01)
        os.kill(int(os.environ["CONTROLLER"]), signal.SIGKILL)
        while os.getppid() == int(os.environ["CONTROLLER"]):
            time.sleep(0.01)
        os._exit(0)


@pytest.fixture
def phase():
    if os.environ["WHEN"] == "setup":
        die()
    yield
    if os.environ["WHEN"] == "teardown":
        die()


def test_before():
    pass


def test_victim(phase):
    if os.environ["WHEN"] == "call":
        die()


def test_after():
    pass
