set(IDF_TARGET esp32s3)

include(${MICROPY_BOARD_DIR}/../common/board.cmake)

# The port's fragment for this chip: fast access to the flash.
list(APPEND SDKCONFIG_DEFAULTS
    boards/ESP32_GENERIC_S3/sdkconfig.board
    ${WEBSOCK_COMMON}/sdkconfig.240mhz
)
