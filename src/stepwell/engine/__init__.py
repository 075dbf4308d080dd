"""One run of one instance: the only place where decisions, user code and storage meet."""
