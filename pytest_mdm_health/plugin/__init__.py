"""What pytest calls: hooks, options, collection, session, fixtures, progress."""
