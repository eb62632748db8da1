"""GitHub: the comment in a pull request, and what the action hands on."""
