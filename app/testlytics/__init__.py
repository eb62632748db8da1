"""Test analytics and regression tracking, from one local file.

The public functions are in `testlytics.api`; nothing heavy is imported here.
"""

__version__ = "0.1.0"
