"""The store: one DuckDB file behind a lock file of our own. The only place that speaks SQL.

The database file is opened by DuckDB alone. Any other `open` of it by a process that has it open
would drop DuckDB's POSIX lock, and two writers could then lose each other's rows silently.
"""
