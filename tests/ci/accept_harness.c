// Runs socket_accept() of MicroPython's ports/esp32/modsocket.c, which test_boards_patches.py puts
// in the place of the include below, against an lwIP and an allocator that fail on demand. Prints
// what happened to each descriptor.

#include <errno.h>
#include <setjmp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef void *mp_obj_t;
typedef unsigned mp_uint_t;
typedef struct { const void *type; } mp_obj_base_t;
typedef struct { mp_obj_base_t base; size_t len; mp_obj_t items[2]; } mp_obj_tuple_t;
typedef struct _nlr_buf_t { jmp_buf jump; void *ret_val; struct _nlr_buf_t *prev; } nlr_buf_t;
typedef struct {
    mp_obj_base_t base;
    int fd;
    uint8_t domain, type, proto, state;
    unsigned int retries;
} socket_obj_t;
struct sockaddr { char data[16]; };
struct in_addr_any { uint32_t s_addr; };
struct sockaddr_in { uint16_t sin_family, sin_port; struct in_addr_any sin_addr; };
typedef unsigned socklen_t;

#define MP_OBJ_TO_PTR(o) ((void *)(o))
#define MP_OBJ_FROM_PTR(p) ((mp_obj_t)(p))
#define MP_THREAD_GIL_EXIT()
#define MP_THREAD_GIL_ENTER()
#define MP_EAGAIN EAGAIN
#define MP_ETIMEDOUT ETIMEDOUT
#define NETUTILS_BIG 0
#define mp_const_none NULL
#define lwip_ntohs(x) (x)
enum { SOCKET_STATE_CONNECTED = 1 };

static nlr_buf_t *top;
#define nlr_push(buf) ((buf)->prev = top, top = (buf), setjmp((buf)->jump))
static void nlr_pop(void) { top = top->prev; }
static void __attribute__((noreturn)) nlr_jump(void *value) {
    nlr_buf_t *buf = top;
    top = buf->prev;
    buf->ret_val = value;
    longjmp(buf->jump, 1);
}

static int collections, allocations, fail_allocation;
static const int *answers;  // a descriptor, or an errno below 0, for each accept in turn

static void gc_collect(void) { collections++; }
static void check_for_exceptions(void) {}
static void __attribute__((noreturn)) mp_raise_OSError(int code) {
    printf("OSError %s ", code == ENFILE ? "ENFILE" : code == EAGAIN ? "EAGAIN" : "other");
    nlr_jump(NULL);
}
static void *allocate(size_t size) {
    if (++allocations == fail_allocation) {
        printf("MemoryError ");
        nlr_jump(NULL);
    }
    return calloc(1, size);
}
#define mp_obj_malloc_with_finaliser(type, of) ((type *)allocate(sizeof(type)))
static void *mp_obj_new_tuple(size_t n, const mp_obj_t *items) { return allocate(sizeof(mp_obj_tuple_t)); }
static mp_obj_t netutils_format_inet_addr(uint8_t *ip, mp_uint_t port, int order) { return allocate(8); }
static void _socket_settimeout(socket_obj_t *sock, uint64_t timeout) {}
static int lwip_accept(int fd, struct sockaddr *addr, socklen_t *len) {
    int answer = *answers++;
    if (answer < 0) {
        errno = -answer;
        return -1;
    }
    memset(addr, 0, sizeof(*addr));
    return answer;
}
static int lwip_close(int fd) {
    printf("closed %d ", fd);
    return 0;
}

#include "accept.inc"

static void try_accept(const char *name, const int *results, int failing) {
    socket_obj_t listener = {.fd = 3};
    answers = results;
    collections = allocations = 0;
    fail_allocation = failing;
    printf("%s: ", name);
    nlr_buf_t nlr;
    if (nlr_push(&nlr) == 0) {
        mp_obj_tuple_t *client = socket_accept(&listener);
        printf("accepted %d ", ((socket_obj_t *)client->items[0])->fd);
        nlr_pop();
    }
    printf("collected %d\n", collections);
}

int main(void) {
    try_accept("plain", (int[]) {7}, 0);
    try_accept("nobody", (int[]) {-EAGAIN}, 0);
    try_accept("sockets come free", (int[]) {-ENFILE, 8}, 0);
    try_accept("sockets come free, nobody else", (int[]) {-ENFILE, -EAGAIN}, 0);
    try_accept("no sockets", (int[]) {-ENFILE, -ENFILE}, 0);
    try_accept("no memory 1", (int[]) {9}, 1);
    try_accept("no memory 2", (int[]) {9}, 2);
    try_accept("no memory 3", (int[]) {9}, 3);
    return 0;
}
