"""Running pure functions of one task over a batch: sequentially, under ``vmap``, recomputed or as CUDA graphs."""
