"""Readers: one module a format, each turning bytes into records.

Readers open nothing and store nothing. They get a binary stream and a sink, and they trust no byte.
"""
