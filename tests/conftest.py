"""What all tests share."""

import gc

import hypothesis  # noqa: F401  # before the freeze: it asks the collector who refers to a source of randomness


def pytest_collection_finish():
    """Keep the garbage collector off what lives to the end: thousands of tests, which each collection would walk."""
    gc.collect()
    gc.freeze()
