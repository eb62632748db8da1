"""Everything behind the verdict on one test, and the script that finds the commit."""
