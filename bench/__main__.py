"""`python -m bench`: every benchmark, one after the other."""

from bench import pipeline

if __name__ == "__main__":
    pipeline.main()
