"""Caches: each key computed once, for threads, asyncio and trio at the same time."""
