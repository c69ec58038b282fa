// The host board: the feature level of the ESP32 boards, on the unix port.

#define MICROPY_CONFIG_ROM_LEVEL (MICROPY_CONFIG_ROM_LEVEL_EXTRA_FEATURES)

#include "ports/unix/variants/mpconfigvariant_common.h"

// Raise KeyboardInterrupt between bytecodes, as on a chip, and not from within the signal
// handler, where it would cut through whatever C code runs.
#undef MICROPY_ASYNC_KBD_INTR
#define MICROPY_ASYNC_KBD_INTR (0)

// Each import on the way to a module holds a path of this size on the stack, which is as small as
// a chip's in the 32-bit image. This is MicroPython's own default.
#define MICROPY_ALLOC_PATH_MAX (512)

// Places in the cache of where a name was found last; each is a byte of RAM. A request looks up
// some hundred different names, of which MicroPython's default of 128 lose many to one another.
#define MICROPY_OPT_MAP_LOOKUP_CACHE_SIZE (512)
