set(IDF_TARGET esp32c3)

include(${MICROPY_BOARD_DIR}/../common/board.cmake)

# The port's fragments for this chip: optimised for size, revisions from 3 on.
list(APPEND SDKCONFIG_DEFAULTS
    boards/sdkconfig.riscv
    boards/ESP32_GENERIC_C3/sdkconfig.c3usb
)
