#!/usr/bin/env bash
# Installs what the build needs: system packages by apt, and Halide, CMake and Ninja from PyPI into .venv.
# Does nothing where everything is there already. Usage: cmake/setup.sh [extra apt packages]
set -euo pipefail
cd "$(dirname "$0")/.."

packages=(g++ make python3-venv libfmt-dev libcli11-dev nlohmann-json3-dev libjpeg-dev libpng-dev libwebp-dev catch2 libbenchmark-dev
          ocl-icd-libopencl1 pocl-opencl-icd "$@")  # an OpenCL device for the tests

missing=()
for package in "${packages[@]}"; do
    [[ $(dpkg-query -W -f '${Status}' "$package" 2>/dev/null) == *"ok installed" ]] || missing+=("$package")
done
if ((${#missing[@]})); then
    as_root=()
    if ((EUID != 0)); then
        command -v sudo >/dev/null || { echo "setup: install ${missing[*]} as root, or install sudo" >&2; exit 1; }
        as_root=(sudo)
    fi
    echo "setup: installing ${missing[*]}"
    "${as_root[@]}" apt-get update -qq
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
fi

# The stamp holds the requirements it was made from, so that a change of versions sets up again.
if ! cmp -s cmake/requirements.txt .venv/requirements.txt; then
    echo "setup: installing $(tr '\n' ' ' <cmake/requirements.txt)into .venv"
    python3 -m venv .venv
    .venv/bin/pip install --quiet --disable-pip-version-check -r cmake/requirements.txt
    cp cmake/requirements.txt .venv/requirements.txt
fi
