"""How a long-lived process keeps the garbage collector off its hot paths."""

import gc

_YOUNG_OBJECTS = 50_000


def settle() -> None:
    """Leave what start-up made out of every later collection, and collect less often.

    A process calls this once, when everything that lives as long as it does is imported and built.
    Batches of messages make tens of thousands of objects that die by reference count; with the
    interpreter's default of 700 the collector went over all modules again and again for nothing.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(_YOUNG_OBJECTS, 10, 10)
