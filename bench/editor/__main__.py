"""`python -m bench.editor`."""

from bench.editor.cli import main

if __name__ == "__main__":
    main()
