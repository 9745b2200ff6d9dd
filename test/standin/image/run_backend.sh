#!/bin/bash
# Stand-in image (test double). Turns the container's environment into the backend's flags (contract 1.2).
set -e

export DATA_DIR="${DATA_DIR:-/convex/data}"
export TMPDIR="${TMPDIR:-$DATA_DIR/tmp}"
export STORAGE_DIR="${STORAGE_DIR:-$DATA_DIR/storage}"
export SQLITE_DB="${SQLITE_DB:-$DATA_DIR/db.sqlite3}"
mkdir -p "$DATA_DIR" "$TMPDIR" "$STORAGE_DIR"

source ./read_credentials.sh

flags=(
  --instance-name "$INSTANCE_NAME"
  --instance-secret "$INSTANCE_SECRET"
  --port 3210
  --site-proxy-port 3211
  --convex-origin "$CONVEX_CLOUD_ORIGIN"
  --convex-site "$CONVEX_SITE_ORIGIN"
  --beacon-tag self-hosted-docker
)
# any text turns a switch on, "false" too
if [ -n "$DISABLE_BEACON" ]; then flags+=(--disable-beacon); fi
if [ -n "$REDACT_LOGS_TO_CLIENT" ]; then flags+=(--redact-logs-to-client); fi
if [ -n "$DO_NOT_REQUIRE_SSL" ]; then flags+=(--do-not-require-ssl); fi

database="$SQLITE_DB"
if [ -n "$POSTGRES_URL" ]; then
  flags+=(--db postgres-v5)
  database="$POSTGRES_URL"
elif [ -n "$MYSQL_URL" ]; then
  flags+=(--db mysql-v5)
  database="$MYSQL_URL"
elif [ -n "$DATABASE_URL" ]; then
  echo "Warning: DATABASE_URL is deprecated. Please use POSTGRES_URL for PostgreSQL or MYSQL_URL for MySQL connections instead."
  flags+=(--db postgres-v5)
  database="$DATABASE_URL"
fi

wanted=(AWS_REGION)
# until 2026-04-09 the script asked for keys too, now the default chain finds them
if [ "$STANDIN_LIKE" != head ]; then wanted+=(AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY); fi
wanted+=(
  S3_STORAGE_EXPORTS_BUCKET
  S3_STORAGE_SNAPSHOT_IMPORTS_BUCKET
  S3_STORAGE_MODULES_BUCKET
  S3_STORAGE_FILES_BUCKET
  S3_STORAGE_SEARCH_BUCKET
)
missing=()
for name in "${wanted[@]}"; do
  if [ -z "${!name}" ]; then missing+=("$name"); fi
done
if [ ${#missing[@]} -eq 0 ]; then
  flags+=(--s3-storage)
else
  if [ ${#missing[@]} -lt ${#wanted[@]} ]; then
    echo "Warning: Some AWS/S3 environment variables are missing. Falling back to local storage."
    echo "Missing variables: ${missing[*]}"
  fi
  flags+=(--local-storage "$STORAGE_DIR")
fi

exec ./convex-local-backend "$@" "${flags[@]}" "$database"
