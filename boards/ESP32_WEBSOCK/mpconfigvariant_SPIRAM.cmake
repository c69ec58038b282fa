# Modules with PSRAM (ESP32-WROVER): the Python heap grows into it. The port's fragment optimises for
# size, which the workarounds for the chip's PSRAM bug make necessary; so it is slower.
list(APPEND SDKCONFIG_DEFAULTS boards/sdkconfig.spiram)

list(APPEND MICROPY_DEF_BOARD
    MICROPY_HW_BOARD_NAME="websock with SPIRAM"
)
