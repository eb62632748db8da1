"""The till, the shelves and the orders of a small bookshop."""
