#!/usr/bin/env bash
# Trains a recipe on CIFAR-10 with seeds 1, 2 and 3, and prints its learning curves as a markdown table.
#
#     CIFAR10_DIR=DIR bench/accuracy.sh [RECIPE] [FLAG OF cifar10 train]...
#
# The runs are kept in build/accuracy/RECIPE-SEED (or under $OUT): one that was stopped goes on, one that is complete is only read.
set -euo pipefail
top=$(cd "$(dirname "$0")/.." && pwd)
trainer=${TRAINER:-$top/build/release/bin/cifar10}
recipe=${1:-onecycle}
shift || true
: "${CIFAR10_DIR:?name the folder of the CIFAR-10 binary files}"

runs=()
for seed in 1 2 3; do
    run=${OUT:-$top/build/accuracy}/$(basename "$recipe" .json)-$seed
    if [[ -e $run/last.safetensors ]]; then
        "$trainer" train --resume "$run" >&2
    else
        "$trainer" train --recipe "$recipe" --seed "$seed" --data "$CIFAR10_DIR" --out "$run" "$@" >&2
    fi
    runs+=("$run/metrics.jsonl")
done

# A line of metrics.jsonl is one flat object; the file's place among the arguments is its seed.
awk -v recipe="$recipe" '
    function number(key) {
        if (!match($0, "\"" key "\":[-+.0-9eE]+")) return ""
        return substr($0, RSTART + length(key) + 3, RLENGTH - length(key) - 3)
    }
    function row(measure, key, seed, scale, format,    line, epoch) {
        line = "| " measure " | " seed " |"
        for (epoch = 1; epoch <= epochs; epoch++) line = line sprintf(" " format " |", scale * value[key, seed, epoch])
        print line
    }
    function curves(measure, key, scale, format,    seed, epoch) {
        for (seed = 1; seed <= seeds; seed++) {
            row(measure, key, seed, scale, format)
            for (epoch = 1; epoch <= epochs; epoch++) value[key, "mean", epoch] += value[key, seed, epoch] / seeds
        }
        row(measure, key, "mean", scale, format)
    }
    FNR == 1 { seeds++ }
    {
        epoch = number("epoch") + 0  # a number, or "9" would be more than "10"
        if (epoch > epochs) epochs = epoch
        value["loss", seeds, epoch] = number("loss")
        value["val_accuracy", seeds, epoch] = number("val_accuracy")
        value["images_per_second", seeds, epoch] = number("images_per_second")
    }
    END {
        header = "| " recipe " | seed |"
        rule = "|---|---|"
        for (epoch = 1; epoch <= epochs; epoch++) { header = header " " epoch " |"; rule = rule "---:|" }
        print header
        print rule
        curves("training loss", "loss", 1, "%.3f")
        curves("test accuracy, %", "val_accuracy", 100, "%.1f")
        curves("images/s", "images_per_second", 1, "%.0f")
    }' "${runs[@]}"
