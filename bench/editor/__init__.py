"""The browser editor against Netron, against plain React Flow with dagre, and against an empty page.

    python -m bench.editor [--case NAME ...] [--rounds 5] [--minutes 10] [--quick] [--json FILE]

Cases: open, layout, frames, drop, live, size. It needs what the tests need (`make setup`, `make frontend`, a Chromium)
and, for the comparison in `open`, Netron 9 (MIT): `pip install "netron>=9,<10"`; without it those rows are left out,
which is said. Everything else is started here and ended with it: a studio on a folder of its own, a server for the
pages in `bench/editor/page` (built with the frontend's packages), Chromium without a window. Nothing leaves here.

What is compared takes turns within each round, and medians of the rounds are told. An animation frame is not shorter
than the screen's (16.7 ms): values there cannot be ranked, so the main thread's own time in each frame, `busy`, stands
beside it (Chromium's `TaskDuration`). Absolute values are of this machine and of what else runs on it: its load average
stands below each table.
"""
