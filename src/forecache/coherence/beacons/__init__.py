"""The beacon protocol: machines without sockets, which events go into and effects come out of."""
