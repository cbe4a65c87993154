#!/usr/bin/env bash
# The tests under sanitizers: all under the address and the undefined-behaviour one, the runtime's under the thread one; then everything built
# by clang. With arguments, only these test programs, without their exhaustive cases, and nothing by clang. kernel_gen is the one that
# build/release has, without sanitizers.
# KERNELS=asan has Halide instrument the kernels of the host's sets too, which compiles all of them again.
# Usage: cmake/sanitize.sh [TEST_PROGRAM...]
set -euo pipefail
cd "$(dirname "$0")/.."
export PATH="$PWD/.venv/bin:$PATH"
release=$PWD/build/release

# halcyonc calls this in kernel_gen's place, with --cache FOLDER first. The sum makes another kernel_gen another file.
generator=$PWD/build/kernel_gen${KERNELS:+_$KERNELS}
cat >"$generator.new" <<END
#!/usr/bin/env bash
# $(sha256sum <"$release/bin/kernel_gen")
shift 2
arguments=("\$@")
for i in "\${!arguments[@]}"; do
    [[ \${arguments[i]} == target=*cuda* || \${arguments[i]} == target=*opencl* || \${arguments[i]} != target=* ]] || arguments[i]+=${KERNELS:+-$KERNELS}
done
exec $release/bin/kernel_gen --cache $release/kernel_cache "\${arguments[@]}"
END
chmod +x "$generator.new"
cmp -s "$generator" "$generator.new" || cp "$generator.new" "$generator"

# in_preset PRESET TEST_PROGRAM...: all where none is named.
in_preset() {
    local preset=$1 programs
    shift
    programs=$(IFS='|'; echo "$*")
    cmake --preset "$preset" -DHALCYON_KERNEL_GEN="$generator" >/dev/null
    cmake --build --preset "$preset" ${1:+--target "$@"}
    # The faults are injected in front of the C library, where the sanitizers sit.
    ctest --preset "$preset" --parallel 2 --label-exclude "faults${1:+|exhaustive}" ${1:+--tests-regex "^($programs):"}
}

in_preset debug "$@"
in_preset tsan runtime
if (($# == 0)); then
    cmake --preset clang >/dev/null
    cmake --build --preset clang
fi
