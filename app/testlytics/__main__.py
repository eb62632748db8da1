"""`python -m testlytics` is `testlytics`."""

from testlytics.cli.main import run

if __name__ == "__main__":
    run()
