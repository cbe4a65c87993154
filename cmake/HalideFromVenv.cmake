# Halide comes from PyPI: the wheel in .venv carries the C++ SDK, but keeps its CMake files where find_package does not look.
# Another Halide wins where CMAKE_PREFIX_PATH or Halide_DIR names one.
if(NOT Halide_DIR)
    file(GLOB halide_wheel ${PROJECT_SOURCE_DIR}/.venv/lib/python3*/site-packages/halide)
    if(halide_wheel)
        set(Halide_DIR ${halide_wheel}/lib64/cmake/Halide CACHE PATH "Halide's CMake files")
        set(HalideHelpers_DIR ${halide_wheel}/lib64/cmake/HalideHelpers CACHE PATH "Halide's CMake helpers")
    endif()
endif()
