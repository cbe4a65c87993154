#!/usr/bin/env bash
# Feeds every target for some seconds, as many at a time as there are CPUs. An input that fails is kept in the target's corpus, where the
# ordinary tests read it from then on. Usage: run.sh BUILD_FOLDER SECONDS [TARGET...]
set -euo pipefail
build=$(realpath "$1") seconds=$2
shift 2
cd "$(dirname "$0")/corpus"
(($#)) || set -- *

feed() {
    local found=$1/found/$3 corpus=$PWD/$3 log=$1/$3.log
    mkdir -p "$found"
    "$1/bin/fuzz_$3" -max_total_time="$2" -timeout=60 -report_slow_units=60 -rss_limit_mb=4096 -max_len=16384 -artifact_prefix="$corpus/" \
        -print_final_stats=1 "$found" "$corpus" >"$log" 2>&1 && status=0 || status=$?
    echo "$3: $(grep -o 'number_of_executed_units: .*' "$log" || true)"
    if ((status)); then
        grep -E 'ERROR|runtime error|not so|what\(\)|Test unit written' "$log" || tail -20 "$log"
    fi
    return "$status"
}
export -f feed
export TMPDIR=/dev/shm  # the files that targets write
export UBSAN_OPTIONS=print_stacktrace=1
printf '%s\0' "$@" | xargs -0 -P "$(nproc)" -I{} bash -c 'feed "$@"' feed "$build" "$seconds" {}
