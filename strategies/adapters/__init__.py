"""Small sets of parameters per experience (entries) that adapt a frozen trunk: creation, routing and merging."""
