#!/bin/bash
# Stand-in image (test double). Finds this instance's name and secret and stores them, as the official image does
# (contract 1.2): environment, else stored file, else a fresh secret / the default name. Meant to be sourced.
# Nothing is checked here: a bad secret is stored before the backend refuses it, and that is the point.

CREDENTIALS_DIR="${CREDENTIALS_DIR:-${DATA_DIR:-/convex/data}/credentials}"
mkdir -p "$CREDENTIALS_DIR"

stored() {
  if [ -f "$CREDENTIALS_DIR/$1" ]; then cat "$CREDENTIALS_DIR/$1"; fi
}

new_secret() {
  if command -v openssl >/dev/null 2>&1; then
    openssl rand -hex 32
  else
    od -An -v -tx1 -N32 /dev/urandom | tr -d ' \n'
  fi
}

INSTANCE_NAME="${INSTANCE_NAME:-$(stored instance_name)}"
INSTANCE_NAME="${INSTANCE_NAME:-convex-self-hosted}"
INSTANCE_SECRET="${INSTANCE_SECRET:-$(stored instance_secret)}"
INSTANCE_SECRET="${INSTANCE_SECRET:-$(new_secret)}"
export INSTANCE_NAME INSTANCE_SECRET

printf '%s\n' "$INSTANCE_NAME" >"$CREDENTIALS_DIR/instance_name"
printf '%s\n' "$INSTANCE_SECRET" >"$CREDENTIALS_DIR/instance_secret"
