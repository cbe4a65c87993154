#!/usr/bin/env bash
# Checks the format of every source, and the plain C++ rooms with clang-tidy. Prints what is wrong; exit 1 if anything is.
# (generators/ and schedules/, but for the menus, are left to the compilers: Halide.h alone takes clang-tidy half a minute a file.)
set -euo pipefail
cd "$(dirname "$0")/.."

git ls-files '*.h' '*.cpp' | xargs clang-format --dry-run --Werror

# Nothing checks such a claim inside a device's loops: a wrong one computes garbage (docs/devices.md).
if grep -n bound_extent schedules/gpu/* schedules/*/gpu*; then
    echo "schedules: bound_extent is not for devices" >&2
    exit 1
fi

# Two types of one name in one program: which of their inline functions a linker takes is chance.
twice=$(git ls-files '*.h' | xargs awk '
    /^namespace [a-z_:]+ \{/ {space = $2}
    /^(class|struct|enum class) [A-Z][A-Za-z0-9]*[^;]*\{/ {print space "::" ($1 == "enum" ? $3 : $2)}' | sort | uniq -d)
if [[ -n $twice ]]; then
    echo "two headers have a type of the same name: $twice" >&2
    exit 1
fi

# clang-tidy comes from PyPI: since 22 it passes over what the system's headers hold, and takes a third of the time. (libstdc++ 12 calls a function of
# its own that C++20 deprecates.)
export PATH="$PWD/.venv/bin:$PATH"
cmake --preset ci -B build/lint -DCMAKE_UNITY_BUILD=OFF -DCMAKE_EXPORT_COMPILE_COMMANDS=ON >/dev/null
git ls-files 'compiler/*.cpp' 'plan/*.cpp' 'runtime/*.cpp' 'schedules/*/entries.cpp' |
    xargs -P "$(nproc)" -n 2 clang-tidy --quiet -p build/lint --warnings-as-errors='*' --extra-arg=-Wno-deprecated-declarations 2>/dev/null
