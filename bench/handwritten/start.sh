#!/usr/bin/env bash
# What people write by hand: docker run with a health check, docker exec for the key, one npx convex env set a variable.
# start.sh <image> <number of variables>; runs in the project.
set -euo pipefail
image=$1
variables=$2

docker run -d --name convex -p 127.0.0.1:3210:3210 -p 127.0.0.1:3211:3211 \
  -e CONVEX_CLOUD_ORIGIN=http://127.0.0.1:3210 -e CONVEX_SITE_ORIGIN=http://127.0.0.1:3211 \
  --health-cmd "curl -f http://localhost:3210/version" --health-interval 10s --health-timeout 5s --health-retries 10 \
  "$image" >/dev/null
until [ "$(docker inspect --format '{{.State.Health.Status}}' convex)" = healthy ]; do sleep 1; done

export CONVEX_SELF_HOSTED_URL=http://127.0.0.1:3210
CONVEX_SELF_HOSTED_ADMIN_KEY=$(docker exec convex ./generate_admin_key.sh)
export CONVEX_SELF_HOSTED_ADMIN_KEY
for n in $(seq "$variables"); do npx convex env set "VARIABLE_$n" "value $n"; done
