"""Has the collector let be what is there when this is imported: forks would copy all of it to look at it."""

import gc

gc.collect()
gc.freeze()
