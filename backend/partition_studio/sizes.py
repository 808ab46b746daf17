"""Sizes as people read them."""


def size_text(size_bytes: float) -> str:
    """Return a size with a readable unit, in powers of ten as disks and networks are sold."""
    for unit in ("B", "KB", "MB", "GB"):
        if abs(size_bytes) < 1000 or unit == "GB":
            return f"{size_bytes:.0f} {unit}" if unit == "B" else f"{size_bytes:.2f} {unit}"
        size_bytes /= 1000
    raise AssertionError
