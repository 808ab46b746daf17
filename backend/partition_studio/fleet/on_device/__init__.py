"""What runs on the device itself, sent there as text; standard library only (Python 3.6 in the check, else 3.8)."""
