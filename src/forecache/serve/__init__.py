"""Online: the cache that services import."""
