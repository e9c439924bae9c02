"""How pure functions of one task are run over a batch: in turn, under ``vmap``, recomputed or captured."""
