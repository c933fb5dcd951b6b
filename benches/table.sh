#!/usr/bin/env bash
# Whole runs of every policy through the binary: ns per task and peak memory, as a Markdown table.
#
#   benches/table.sh [WORKLOAD…]      default: the generator at 1,000 and 12,500 nodes
#
# A workload is what follows `bayplan simulate`. The time is the run's own (`timings.json`: simulation with
# journal fingerprint and all metrics; reading, figures and files apart), divided by the tasks that arrived.
set -euo pipefail
cd "$(dirname "$0")/.."
cargo build --release --locked --quiet
bayplan=$PWD/target/release/bayplan
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
if [ $# -eq 0 ]; then
  set -- "--trace builtin:default?nodes=1000&tasks=100000 --fault none" \
         "--trace builtin:default?nodes=12500&tasks=100000 --fault none"
fi
for workload in "$@"; do
  printf '\n`%s`\n\n| policy | tasks | ns per task | of which deciding | peak memory, MiB |\n|---|---|---|---|---|\n' "$workload"
  "$bayplan" policies --format csv | tail -n +2 | cut -d, -f1 | while read -r policy; do
    # shellcheck disable=SC2086
    "$bayplan" simulate $workload --policy "$policy" --no-figures --quiet --format csv --out "$out/run" >"$out/summary"
    python3 - "$policy" "$out/run/timings.json" "$out/run/summary.csv" <<'PY'
import csv, json, sys
policy, timings, summary = sys.argv[1:]
timings = json.load(open(timings))
run, row = timings["runs"][0], next(csv.DictReader(open(summary)))
tasks = float(row["tasks_submitted"]) + float(row["tasks_adopted"])
ns = lambda secs: f"{secs / tasks * 1e9:,.0f}"
print(f"| {policy} | {tasks:,.0f} | {ns(run['wall_secs'])} | {ns(run['deciding_secs'])} | {timings['peak_memory_bytes'] / 2**20:.0f} |")
PY
  done
done
