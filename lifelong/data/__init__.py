"""The data that flows through training: domains, streams, experiences, tasks and the DataModule that yields them."""
