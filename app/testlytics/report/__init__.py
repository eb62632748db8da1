"""Reports: what the analytics found, in the words and formats people and programs read."""
