"""Words of messages that hang on a number."""


def counted(number: int, one: str, several: str | None = None) -> str:
    """Return a number with what it counts.

    Args:
        number: how many there are.
        one: what one of them is called.
        several: what several are called; None: with an s behind it.

    Example:
        >>> counted(1, "row"), counted(1_200, "row"), counted(0, "batch", "batches")
        ('1 row', '1,200 rows', '0 batches')
    """
    return f"{number:,} {one if number == 1 else several or f'{one}s'}"
