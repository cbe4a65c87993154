#!/usr/bin/env bash
# Installs Halcyon into an empty prefix, and configures, builds and runs a project that only finds the package there.
# Usage: test_package.sh CMAKE BUILD_FOLDER SOURCE_FOLDER
set -euo pipefail
cmake=$1 build=$2 consumer=$3/tests/package/consumer

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

"$cmake" --install "$build" --prefix "$work/prefix" >/dev/null
"$cmake" -S "$consumer" -B "$work/build" -G Ninja -DCMAKE_BUILD_TYPE=Release -DCMAKE_PREFIX_PATH="$work/prefix"
"$cmake" --build "$work/build"
"$work/build/predict"
"$work/build/tiny" summary
cd "$work"
env -u CIFAR10_DIR XDG_CACHE_HOME="$work/cache" "$work/prefix/bin/halcyon" train "$consumer/tiny.json" --epochs 1 --limit 64
env -u CIFAR10_DIR XDG_CACHE_HOME="$work/cache" "$work/prefix/bin/halcyon" evaluate runs/tiny/1
