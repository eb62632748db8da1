"""The dashboard: pages made on the server, readable without a script, and the same as data."""
