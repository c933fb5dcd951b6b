#!/usr/bin/env bash
# Best fit by cpu over a random workload: Bayplan against a script with NumPy and heapq, in one run.
#
#   benches/versus_numpy.sh [WORKLOAD.csv.gz [NODES [ROUNDS]]]
#
# Both read the same gzip, in turns; user CPU seconds of whole processes, median of the rounds. First both must have
# chosen the same nodes. BAYPLAN names another binary than this checkout's release build, PYTHON another interpreter.
set -euo pipefail
cd "$(dirname "$0")/.."
workload=${1:-${BAYPLAN_SHARED:-../shared}/traces/random-workload/rw_10000_100k_seed42.csv.gz}
nodes=${2:-10000} rounds=${3:-5} python=${PYTHON:-python3}
if [ ! -f "$workload" ]; then echo "there is no workload $workload: name one" >&2; exit 2; fi
if ! "$python" -c 'import numpy' 2>/dev/null; then
  echo "numpy is missing: apt-get install python3-numpy, or pip install numpy (PYTHON names an interpreter that has it)" >&2
  exit 2
fi
if [ -z "${BAYPLAN:-}" ]; then
  cargo build --release --locked --quiet
  BAYPLAN=${CARGO_TARGET_DIR:-target}/release/bayplan
fi
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
ours() {
  "$BAYPLAN" simulate --trace "$workload" --cluster "uniform:$nodes,cpu=64,mem=256GiB" --policy best-fit:cpu \
    --unfit head --no-figures --quiet --out "$out/run" "$@" >/dev/null 2>"$out/err" || { cat "$out/err" >&2; exit 1; }
}
theirs() { "$python" benches/numpy_baseline.py "$workload" "$nodes"; }
# User CPU seconds of a command.
user() { local TIMEFORMAT=%U; { time "$@" >/dev/null; } 2>&1 | tail -n 1; }
median() { sort -n | awk '{ it[NR] = $1 } END { print it[int((NR + 1) / 2)] }'; }

ours --tasks
our_hash=$("$python" - "$out/run/tasks.csv" <<'PY'
import csv, hashlib, sys
nodes = [row["node"] for row in csv.DictReader(open(sys.argv[1], newline=""))]
print(hashlib.sha256("".join(f"{it}," for it in nodes).encode()).hexdigest()[:12])
PY
)
their_hash=$(theirs)
if [ "$our_hash" != "$their_hash" ]; then
  echo "the decisions differ: $our_hash, NumPy $their_hash" >&2
  exit 1
fi
for ((round = 0; round < rounds; round++)); do
  user theirs >>"$out/theirs"
  user ours >>"$out/ours"
done
a=$(median <"$out/theirs") b=$(median <"$out/ours")
echo "decisions $our_hash, both alike; user CPU seconds, median of $rounds rounds:"
echo "NumPy $a, Bayplan $b: $(awk "BEGIN { printf \"%.1f\", $a / $b }") times as fast"
