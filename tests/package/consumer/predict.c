/* Predicts one image with fresh weights; exit 0 where the probabilities sum to one. */
#include "halcyon_tiny.h"
#include "runtime/halcyon.h"

#include <math.h>
#include <stdio.h>

int main(void) {
    halcyon_network *network;
    unsigned char image[8 * 8 * 3] = {0};
    float probabilities[10], sum = 0;
    if (halcyon_open(halcyon_tiny(), "auto", 1, 1, &network) || halcyon_initialize(network, 1) ||
        halcyon_predict(network, image, 1, probabilities)) {
        fprintf(stderr, "%s\n", halcyon_last_error(network));
        return 1;
    }
    for (int i = 0; i < 10; i++) sum += probabilities[i];
    halcyon_close(network);
    printf("probabilities sum to %g\n", sum);
    return fabsf(sum - 1) > 1e-5f;
}
