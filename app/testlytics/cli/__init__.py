"""The command line: parse, call one function of `testlytics.api`, print.

Data goes to stdout, everything else to stderr. Nothing heavy is imported before a command runs.
"""
