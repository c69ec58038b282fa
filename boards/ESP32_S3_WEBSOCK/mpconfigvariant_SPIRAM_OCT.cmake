# Modules with PSRAM on eight lines (ESP32-S3-WROOM-1-N8R8 and the like), which takes GPIO 33 to 37.
list(APPEND SDKCONFIG_DEFAULTS
    boards/sdkconfig.spiram_sx
    boards/sdkconfig.spiram_oct
)

list(APPEND MICROPY_DEF_BOARD
    MICROPY_HW_BOARD_NAME="websock with Octal-SPIRAM"
)
