"""Records every attempt of every test into a run file."""
