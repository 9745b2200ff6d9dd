#!/usr/bin/env bash
# The end of it, which people rarely write.
docker rm -fv convex >/dev/null
