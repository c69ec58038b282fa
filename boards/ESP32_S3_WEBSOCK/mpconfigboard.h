// An ESP32-S3 with at least 4 MiB of flash. The variants name themselves with MICROPY_DEF_BOARD.

#include "../common/board.h"

#ifndef MICROPY_HW_BOARD_NAME
#define MICROPY_HW_BOARD_NAME "websock"
#endif

#define MICROPY_HW_MCU_NAME "ESP32S3"

// The REPL at the UART as well as at the native USB port: boards have the one, the other or both.
#define MICROPY_HW_ENABLE_UART_REPL         (1)
