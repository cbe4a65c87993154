/* Halcyon for C and whatever calls C: a compiled model as a handle.
 *
 *     halcyon_network *network;
 *     if (halcyon_open(halcyon_cifar10(), "auto", 2, 64, &network) || halcyon_load_weights(network, "best.safetensors") ||
 *         halcyon_predict(network, images, 1, probabilities))
 *         fprintf(stderr, "%s\n", halcyon_last_error(network));
 *     halcyon_close(network);
 *
 * A handle is used by one thread at a time, with 256 KiB of stack or more; handles are independent of each other. Nothing throws
 * through these functions. An argument out of its range, or a null pointer where not said to be allowed, is a failure that changes nothing.
 */
#pragma once

#include "runtime/model.h"

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What every function returns: one of these, or what halcyon_step's after_gradients returned. */
typedef int halcyon_status;
enum { HALCYON_OK = 0, HALCYON_FAILED = 1 };

typedef struct halcyon_network halcyon_network;

/* What a step of training takes besides its images. Begin with all of it zero: fields may be added, of which 0 means what was before. */
typedef struct halcyon_step {
    uint32_t seed;          /* with `update` it decides what is dropped and flipped */
    int64_t update;         /* 1 .. 2^32 - 1, one more in every step */
    float learning_rate;    /* finite, at least 0; 0.001 is Keras's for Adam */
    float dropout_rate;     /* of every dropout layer, 0 .. 0.99999, in steps of 1/65536; 0: each layer's own */
    float flip_probability; /* of mirroring an image, 0 .. 1 */

    const char *optimizer; /* by its name in a recipe, with Keras's constants, the same in all steps; null: "adam" */

    /* Called with `user` between the backward pass and the update; null: not. It may read and change the `count` gradients of the mean
     * loss and the regularizers' penalties, those of all weights in one piece: here they are averaged with other machines', or clipped.
     * They are valid during the call.
     * Where the network runs on a device they are the host's copy, and go back there for the update. Anything but 0 ends the step before
     * the update, and halcyon_train_step() returns it. It must not throw, nor call a function with the same handle. */
    int (*after_gradients)(void *user, float *gradients, size_t count);
    void *user;
} halcyon_step;

/* Opens `model` on a schedule set ("auto": the fastest that this machine can run) with 1 .. 8192 `threads`, the caller's included, for
 * batches of at most `max_batch` >= 1 images, as many as the kernels can address and there is memory for. *network is a handle, or null
 * where there is no memory for one; after a failure too it must be closed, and all it can do is tell its last error. */
halcyon_status halcyon_open(const halcyon_model *model, const char *schedule, int threads, int max_batch, halcyon_network **network);

/* Frees everything; null is allowed. */
void halcyon_close(halcyon_network *network);

/* What went wrong in the last call that failed, one line; "" where none has. It lives until the next call with this handle. Of a null
 * pointer it says that there is no network. */
const char *halcyon_last_error(const halcyon_network *network);

/* Sets all weights by their initializers, a function of `seed` alone, and the optimizer's state to zero. */
halcyon_status halcyon_initialize(halcyon_network *network, uint32_t seed);

/* Reads and writes the weights, a safetensors file with Keras's names. A failed load leaves the weights as they were. A network that has
 * neither been initialized nor loaded has no weights: it does not save, predict or train. */
halcyon_status halcyon_load_weights(halcyon_network *network, const char *path);
halcyon_status halcyon_save_weights(halcyon_network *network, const char *path);

/* What the network makes of `count` images, 1 .. max_batch: `images` interleaved (channel innermost, then x, y, image) as numpy has (N, H,
 * W, C), the predictions with those of an image side by side: the probabilities of its classes, or the value of each unit where these
 * are none. It fails where one of them is no finite number. */
halcyon_status halcyon_predict(halcyon_network *network, const uint8_t *images, int count, float *predictions);

/* One step of training on `count` images, 1 .. max_batch, and their labels, each less than the number of classes; *loss is their mean loss
 * before the step (may be null). Where it fails because the loss is no finite number or a kernel failed, the weights may have changed.
 * Where `after_gradients` ended it, no weight and nothing of the optimizer's state has, but for batch norms' moving statistics. */
halcyon_status halcyon_train_step(halcyon_network *network, const uint8_t *images, const uint16_t *labels, int count,
                                  const halcyon_step *step, double *loss);

/* The same for a model whose loss takes targets: as many numbers an image as the last layer has units, side by side. Those of a
 * cross-entropy are from 0 to 1. Those of categorical_crossentropy are shares of the classes; it takes labels as well. */
halcyon_status halcyon_train_step_on_targets(halcyon_network *network, const uint8_t *images, const float *targets, int count,
                                             const halcyon_step *step, double *loss);

#ifdef __cplusplus
}
#endif
