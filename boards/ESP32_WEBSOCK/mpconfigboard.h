// An ESP32 with at least 4 MiB of flash. The variants name themselves with MICROPY_DEF_BOARD.

#include "../common/board.h"

#ifndef MICROPY_HW_BOARD_NAME
#define MICROPY_HW_BOARD_NAME "websock"
#endif

#ifndef MICROPY_HW_MCU_NAME
#define MICROPY_HW_MCU_NAME "ESP32"
#endif
