"""The part of an exported package that runs on the person's machine: Python 3.8 and its standard library alone."""
