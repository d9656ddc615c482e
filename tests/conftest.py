"""What all tests share."""

import gc

import hypothesis  # noqa: F401  # before the freeze: it asks the collector who refers to a source of randomness

# Thousands of tests live to the end: the garbage collector need not walk them, neither while they are made nor later.
gc.disable()


def pytest_collection_finish():
    """From now on there is garbage, and some tests ask for what is not."""
    gc.collect()
    gc.freeze()
    gc.enable()
