"""Many runs in one process: claiming, leases, timers, hints, clearing up."""
