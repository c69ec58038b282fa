# Modules with PSRAM on four lines (ESP32-S3-WROOM-1-N8R2 and the like).
list(APPEND SDKCONFIG_DEFAULTS boards/sdkconfig.spiram_sx)

list(APPEND MICROPY_DEF_BOARD
    MICROPY_HW_BOARD_NAME="websock with SPIRAM"
)
