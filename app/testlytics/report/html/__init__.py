"""The report as one page: no script needed, nothing fetched, the same bytes for the same store."""
