"""Reading results and keeping them: bytes to records, records to the store.

Submodules are imported by name; nothing heavy is imported here.
"""
