"""`python -m bench.pipeline`."""

from bench.pipeline.cli import main

if __name__ == "__main__":
    main()
