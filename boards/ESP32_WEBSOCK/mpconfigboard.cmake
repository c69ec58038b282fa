include(${MICROPY_BOARD_DIR}/../common/board.cmake)

list(APPEND SDKCONFIG_DEFAULTS ${WEBSOCK_COMMON}/sdkconfig.240mhz)
