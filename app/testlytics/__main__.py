"""`python -m testlytics` is `testlytics`."""

from testlytics.cli.main import main

if __name__ == "__main__":
    main()
