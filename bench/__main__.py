"""`python -m bench`: every benchmark, one after the other."""

from bench import codecs, profile, sampling, split, upload
from bench.pipeline import cli as pipeline
from bench.planner import cli as planner

if __name__ == "__main__":
    pipeline.main([])
    split.main([])
    codecs.main([])
    sampling.main([])
    profile.main([])
    planner.main([])
    upload.main([])
