// Runs gc_get_max_new_split() of MicroPython's ports/esp32/gccollect.c, which
// test_boards_patches.py puts in the place of the include below, on a system heap of the sizes in
// the arguments: internal free, its largest block, PSRAM in all, free, its largest block.

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#define MIN(a, b) ((a) < (b) ? (a) : (b))
enum { MALLOC_CAP_SPIRAM = 1, MALLOC_CAP_DEFAULT = 2 };

static size_t internal_free, internal_largest, psram, psram_free, psram_largest;

static size_t heap_caps_get_total_size(uint32_t caps) {
    return caps == MALLOC_CAP_SPIRAM ? psram : 320 * 1024 + psram;
}

static size_t heap_caps_get_free_size(uint32_t caps) {
    return psram_free + (caps == MALLOC_CAP_SPIRAM ? 0 : internal_free);
}

static size_t heap_caps_get_largest_free_block(uint32_t caps) {
    return caps == MALLOC_CAP_SPIRAM || psram_largest > internal_largest ? psram_largest : internal_largest;
}

#include "split.inc"

int main(int argc, char **argv) {
    size_t *values[] = { &internal_free, &internal_largest, &psram, &psram_free, &psram_largest };
    for (int i = 0; i < 5; i++) {
        *values[i] = strtoul(argv[i + 1], NULL, 10);
    }
    printf("%zu\n", gc_get_max_new_split());
    return 0;
}
