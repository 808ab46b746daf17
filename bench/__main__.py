"""`python -m bench`: every benchmark, one after the other."""

from bench import pipeline, profile, sampling, split, upload

if __name__ == "__main__":
    pipeline.main()
    split.main([])
    sampling.main([])
    profile.main([])
    upload.main([])
