"""JUnit XML, as all tools write it: see `docs/reference/junit.md`."""

from testlytics_collector.formats.junit.reader import read
from testlytics_collector.formats.junit.sniff import looks_like

__all__ = ["looks_like", "read"]
