#!/bin/bash
# Stand-in image (test double). Prints an admin key: the key on stdout, its caption on stderr (contract 1.2).
# Like the original it stores INSTANCE_NAME and INSTANCE_SECRET of its own environment.
set -e
cd "$(dirname "$0")"
source ./read_credentials.sh

key=$(./generate_key "$INSTANCE_NAME" "$INSTANCE_SECRET")
echo "Admin key:" >&2
echo "$key"
