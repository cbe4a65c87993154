# The package: what find_package(Halcyon) finds. A model compiled with it links halcyon::runtime; the tools stay on the build machine.
include(CMakePackageConfigHelpers)
include(GNUInstallDirs)

set(halcyon_package ${CMAKE_INSTALL_DATADIR}/halcyon)
set(halcyon_headers ${CMAKE_INSTALL_INCLUDEDIR}/halcyon)

set_target_properties(kernel_gen PROPERTIES INSTALL_RPATH $<TARGET_FILE_DIR:Halide::Halide>)
foreach(library runtime plan halide_runtime options)
    set_target_properties(halcyon_${library} PROPERTIES EXPORT_NAME ${library})
endforeach()
install(TARGETS halcyonc halcyon kernel_gen EXPORT HalcyonTools)
install(TARGETS halcyon_runtime halcyon_plan halcyon_halide_runtime halcyon_options EXPORT HalcyonLibraries)
target_include_directories(halcyon_options INTERFACE $<INSTALL_INTERFACE:${halcyon_headers}>)
install(EXPORT HalcyonTools NAMESPACE Halcyon:: DESTINATION ${halcyon_package}/cmake)
install(EXPORT HalcyonLibraries NAMESPACE halcyon:: DESTINATION ${halcyon_package}/cmake)

# Headers are included as in the tree: "runtime/halcyon.h".
install(DIRECTORY plan runtime DESTINATION ${halcyon_headers} FILES_MATCHING PATTERN "*.h")
install(FILES runtime/main.cpp DESTINATION ${halcyon_package}/runtime)

configure_package_config_file(cmake/HalcyonConfig.cmake.in HalcyonConfig.cmake INSTALL_DESTINATION ${halcyon_package}/cmake)
write_basic_package_version_file(HalcyonConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/HalcyonConfig.cmake ${PROJECT_BINARY_DIR}/HalcyonConfigVersion.cmake cmake/FindWebP.cmake cmake/HalcyonModel.cmake
        DESTINATION ${halcyon_package}/cmake)
