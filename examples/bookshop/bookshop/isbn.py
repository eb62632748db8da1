"""International standard book numbers: ten digits until 2006, thirteen since."""


def normalise(text: str) -> str:
    """Bring an ISBN of either length to thirteen digits without hyphens.

    Args:
        text: The number as it is printed on a book.

    Returns:
        The thirteen digits.

    Raises:
        ValueError: It is no ISBN, or a digit of it is wrong.
    """
    digits = text.replace("-", "").upper()
    if len(digits) == 10 and _is_valid_10(digits):
        body = "978" + digits[:9]
        return body + check_digit(body)
    if len(digits) == 13 and _is_decimal(digits) and check_digit(digits[:12]) == digits[12]:
        return digits
    raise ValueError(f"not an ISBN: {text!r}")


def check_digit(body: str) -> str:
    """Compute the thirteenth digit from the twelve before it."""
    weighted = sum(int(digit) * (3 if place % 2 else 1) for place, digit in enumerate(body))
    return str(-weighted % 10)


def _is_valid_10(digits: str) -> bool:
    if not _is_decimal(digits[:9]) or digits[9] not in "0123456789X":
        return False
    values = [10 if digit == "X" else int(digit) for digit in digits]
    weighted = sum(value * (10 - place) for place, value in enumerate(values))
    return weighted % 11 == 0


def _is_decimal(digits: str) -> bool:
    return digits.isascii() and digits.isdecimal()
