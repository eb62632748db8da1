"""Amounts of money, kept as whole cents."""


def parse(text: str) -> int:
    """Read a price such as `12.50` or `7`.

    Args:
        text: Whole units, or whole units and two decimals.

    Returns:
        The price in cents.

    Raises:
        ValueError: It is not a price.
    """
    whole, point, decimals = text.strip().partition(".")
    if not whole.isdecimal() or (point and not (decimals.isdecimal() and len(decimals) == 2)):
        raise ValueError(f"not a price: {text!r}")
    return int(whole) * 100 + int(decimals or "0")


def show(cents: int) -> str:
    """Write an amount with two decimals."""
    sign = "-" if cents < 0 else ""
    return f"{sign}{abs(cents) // 100}.{abs(cents) % 100:02}"


def percent(cents: int, rate: int) -> int:
    """Compute a percentage of an amount, half a cent rounded up."""
    return (cents * rate + 50) // 100


def split(cents: int, people: int) -> list[int]:
    """Split an amount into shares that differ by one cent at most.

    Args:
        cents: The amount, not negative.
        people: How many share it, at least one.

    Returns:
        One share for each, the larger shares first.
    """
    share, left_over = divmod(cents, people)
    return [share + 1] * left_over + [share] * (people - left_over)
