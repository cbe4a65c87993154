# add_halcyon_model(<name> MODEL <file> SCHEDULES <set or family>... [ALL_ENTRIES] [TUNED <folder>] [WITHOUT <entry>...])
#
# Compiles a model file into the static library target halcyon_<name>. Its header, halcyon_<model>.h, declares the function halcyon_<model>()
# that a runtime takes; <model> is the name inside the file. ALL_ENTRIES compiles, for tests and benchmarks, every schedule entry that
# accepts a kernel as well; such a target may stand beside one without, under another <name>. TUNED names a folder of <set>.json files that
# pin entries; WITHOUT names entries to do without, such as winograd.

# halcyonc itself uses all cores.
set_property(GLOBAL APPEND PROPERTY JOB_POOLS halcyon_models=1)

function(add_halcyon_model name)
    cmake_parse_arguments(PARSE_ARGV 1 arg "ALL_ENTRIES" "MODEL;TUNED" "SCHEDULES;WITHOUT")
    if(arg_UNPARSED_ARGUMENTS OR NOT arg_MODEL OR NOT arg_SCHEDULES)
        message(FATAL_ERROR "add_halcyon_model(<name> MODEL <file> SCHEDULES <set or family>... [ALL_ENTRIES] [TUNED <folder>] [WITHOUT <entry>...])")
    endif()

    # In Halcyon's own tree the tools are targets, in a project that found the package they are imported.
    foreach(tool halcyonc kernel_gen)
        set(${tool} ${tool})
        if(TARGET Halcyon::${tool})
            set(${tool} Halcyon::${tool})
        endif()
    endforeach()
    set(generator $<TARGET_FILE:${kernel_gen}>)
    if(HALCYON_KERNEL_GEN)
        set(generator ${HALCYON_KERNEL_GEN})
        set(kernel_gen ${HALCYON_KERNEL_GEN})
    endif()

    # The model's name is part of the files' names.
    cmake_path(ABSOLUTE_PATH arg_MODEL NORMALIZE OUTPUT_VARIABLE model_file)
    set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${model_file})
    file(READ ${model_file} model_text)
    string(JSON model GET ${model_text} name)

    set(output ${CMAKE_CURRENT_BINARY_DIR}/halcyon_${name})
    set(library ${output}/libhalcyon_${model}.a)
    set(header ${output}/halcyon_${model}.h)
    list(JOIN arg_SCHEDULES "," schedules)
    set(options --schedules ${schedules} --cache ${CMAKE_BINARY_DIR}/kernel_cache --kernel-gen ${generator})
    set(tuned_files "")
    if(arg_TUNED)
        cmake_path(ABSOLUTE_PATH arg_TUNED NORMALIZE)
        file(GLOB tuned_files CONFIGURE_DEPENDS ${arg_TUNED}/*.json)
        list(APPEND options --tuned ${arg_TUNED})
    endif()
    if(arg_WITHOUT)
        list(JOIN arg_WITHOUT "," without)
        list(APPEND options --without ${without})
    endif()
    if(arg_ALL_ENTRIES)
        list(APPEND options --all-entries)
    endif()

    add_custom_command(
        OUTPUT ${library} ${header} ${output}/plan.json
        COMMAND ${halcyonc} build ${model_file} ${options} -o ${output}
        DEPENDS ${halcyonc} ${kernel_gen} ${model_file} ${tuned_files}
        COMMENT "Compiling the model ${name}"
        JOB_POOL halcyon_models
        VERBATIM)
    add_custom_target(halcyon_${name}_build DEPENDS ${library} ${header} ${output}/plan.json)

    add_library(halcyon_${name} STATIC IMPORTED GLOBAL)
    add_dependencies(halcyon_${name} halcyon_${name}_build)
    file(MAKE_DIRECTORY ${output})
    set_target_properties(halcyon_${name} PROPERTIES IMPORTED_LOCATION ${library} HALCYON_FUNCTION halcyon_${model})
    target_include_directories(halcyon_${name} INTERFACE ${output})
    # The kernels call Halide's runtime, which comes with ours; this puts it behind them on the linker's command line.
    target_link_libraries(halcyon_${name} INTERFACE $<TARGET_NAME_IF_EXISTS:halcyon::runtime>)
endfunction()

# add_halcyon_trainer(<name> MODEL_LIBRARY halcyon_<model>)
#
# The executable <name>: trains, evaluates and describes the model of a library that add_halcyon_model() made.
function(add_halcyon_trainer name)
    cmake_parse_arguments(PARSE_ARGV 1 arg "" "MODEL_LIBRARY" "")
    if(arg_UNPARSED_ARGUMENTS OR NOT arg_MODEL_LIBRARY)
        message(FATAL_ERROR "add_halcyon_trainer(<name> MODEL_LIBRARY halcyon_<model>)")
    endif()
    add_executable(${name} ${CMAKE_CURRENT_FUNCTION_LIST_DIR}/../runtime/main.cpp)
    target_compile_definitions(${name} PRIVATE HALCYON_MODEL=$<TARGET_PROPERTY:${arg_MODEL_LIBRARY},HALCYON_FUNCTION>)
    target_link_libraries(${name} PRIVATE ${arg_MODEL_LIBRARY} halcyon::runtime)
endfunction()
