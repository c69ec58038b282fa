# Boards with a W5500 on SPI, beside Wi-Fi. Its pins are in app.json, see docs/firmware.md.
list(APPEND SDKCONFIG_DEFAULTS ${WEBSOCK_COMMON}/sdkconfig.ethernet_spi)

list(APPEND MICROPY_DEF_BOARD
    MICROPY_HW_BOARD_NAME="websock with Ethernet"
    MICROPY_PY_NETWORK_LAN=1
)
