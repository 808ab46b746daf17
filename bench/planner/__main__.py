"""`python -m bench.planner`."""

from bench.planner.cli import main

if __name__ == "__main__":
    main()
