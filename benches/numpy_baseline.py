#!/usr/bin/env python3
"""Best fit by cpu over a random workload, as one writes it in an afternoon with NumPy and heapq.

    numpy_baseline.py WORKLOAD.csv[.gz] NODES

Reads `id,arrival_s,cpu_cores,mem_gib,duration_s`. Nodes have 64 cores and 256 GiB. Tasks that are over are released,
then tasks are placed in file order: of the nodes that fit, the one with the least free cpu, the first among equals;
who fits nowhere waits, and all behind it. Stops at the last arrival. Prints the SHA-256 of the chosen nodes, `i0,i1,…,`,
12 digits.
"""

import csv
import gzip
import hashlib
import heapq
import sys

try:
    import numpy as np
except ImportError:
    sys.exit("numpy is missing: apt-get install python3-numpy, or pip install numpy")

TOO_MUCH = np.int32(1 << 30)


def read(path):
    open_text = gzip.open if path.endswith(".gz") else open
    with open_text(path, "rt", newline="") as file:
        for row in csv.DictReader(file):
            yield int(row["arrival_s"]), int(row["cpu_cores"]), int(row["mem_gib"]), int(row["duration_s"])


def place_all(tasks, nodes):
    cpu, memory = np.full(nodes, 64, np.int32), np.full(nodes, 256, np.int32)
    ends = []
    chosen = []
    waiting = 0  # the first task that is not placed
    while waiting < len(tasks):
        now = tasks[waiting][0]
        while True:
            while ends and ends[0][0] <= now:
                _, node, cores, gib = heapq.heappop(ends)
                cpu[node] += cores
                memory[node] += gib
            _, cores, gib, length = tasks[waiting]
            left = np.where((cpu >= cores) & (memory >= gib), cpu, TOO_MUCH)
            node = int(left.argmin())
            if left[node] < TOO_MUCH:
                break
            if not ends:
                sys.exit(f"task {waiting} fits no node")
            now = max(now, ends[0][0])
        cpu[node] -= cores
        memory[node] -= gib
        heapq.heappush(ends, (now + length, node, cores, gib))
        chosen.append(node)
        waiting += 1
    return chosen


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    chosen = place_all(list(read(sys.argv[1])), int(sys.argv[2]))
    text = "".join(f"{node}," for node in chosen)
    print(hashlib.sha256(text.encode()).hexdigest()[:12])


if __name__ == "__main__":
    main()
