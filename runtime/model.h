/* What a compiled model's library exports: its text, its plan and its kernels. `halcyonc build` writes one function
 * `const halcyon_model *halcyon_<name>(void)`, declared in halcyon_<name>.h. Plain C, so that any language can link it. */
#pragma once

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

#define HALCYON_ABI_VERSION 2

struct halide_filter_metadata_t;

typedef struct halcyon_kernel {
    const char *symbol;
    int (*call)(void **arguments); /* Halide's argv convention: the user_context's address, then halide_buffer_t pointers */
    const struct halide_filter_metadata_t *(*metadata)(void);
} halcyon_kernel;

typedef struct halcyon_model {
    int abi_version; /* HALCYON_ABI_VERSION of the compiler that wrote it */
    const char *name;
    const char *text; /* of the model file, zero-terminated */
    size_t text_size;
    const char *plan; /* the text of plan.json, zero-terminated */
    size_t plan_size;
    const halcyon_kernel *kernels;
    size_t kernel_count;
} halcyon_model;

#ifdef __cplusplus
}
#endif
