#!/usr/bin/env bash
# Runs OpenActive's test suite against the front-end, from the project's root:
#   examples/booking_front_end/conformance/run.sh <suite's folder> <configuration> [feature …]
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
suite=$1 configuration=$2
shift 2

# OpenActive's validator demands more of an Opportunity in an Orders feed than the standard allows.
export FRONT_END_FEED_OPPORTUNITIES=false
stock=()
[ "$configuration" != random-mode ] || stock=(--stock random-mode)
"${PYTHON:-.venv/bin/python}" -m examples.booking_front_end "${stock[@]}" &
front_end=$!
trap 'kill "$front_end"; wait "$front_end" || true' EXIT
until curl --silent --fail --output /dev/null http://127.0.0.1:8081/openactive; do
  kill -0 "$front_end"
  sleep 0.2
done

cp "$here/$configuration.json" "$suite/config/"
cd "$suite"
NODE_OPTIONS="--require $here/connections.cjs" NODE_ENV=$configuration npm start -- "$@"
