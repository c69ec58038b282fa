// hostio: what the host board's simulated hardware needs of the operating system.
//
// openpty() is the wire of a simulated UART, restart() a simulated hard reset, watchdog() a simulated
// watchdog, local_port() tells which free port was picked. Linux only: they rely on /proc and on Unix98 pseudo-terminals (pts(4)).

#ifndef _GNU_SOURCE
#define _GNU_SOURCE // posix_openpt, ptsname_r, cfmakeraw
#endif

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <termios.h>
#include <unistd.h>

#include "py/runtime.h"

// As many as a device has UARTs, and some for tests.
#define MAX_PTYS (16)
// "/dev/pts/" and a number.
#define PTY_PATH_SIZE (64)
// The kernel's own limit for a process's arguments is 2 MiB (execve(2)).
#define MAX_CMDLINE (2 * 1024 * 1024)

typedef struct _pty_t {
    int master; // -1: this entry is free
    int slave;
    char path[PTY_PATH_SIZE];
} pty_t;

static pty_t ptys[MAX_PTYS];
static int ptys_used;

static bool pty_is_open(const pty_t *pty) {
    // The program closes the master as any file, and its number may have been given to another
    // file since: the name tells.
    char path[PTY_PATH_SIZE];
    return ptsname_r(pty->master, path, sizeof(path)) == 0 && strcmp(path, pty->path) == 0;
}

// A free entry. Slaves whose master has been closed are closed here.
static pty_t *pty_alloc(void) {
    pty_t *free_pty = NULL;
    for (int i = 0; i < ptys_used; i++) {
        pty_t *pty = &ptys[i];
        if (pty->master != -1 && !pty_is_open(pty)) {
            close(pty->slave);
            pty->master = -1;
        }
        if (pty->master == -1) {
            free_pty = pty;
        }
    }
    if (free_pty == NULL) {
        if (ptys_used == MAX_PTYS) {
            mp_raise_OSError(EMFILE);
        }
        free_pty = &ptys[ptys_used++];
        free_pty->master = -1;
    }
    return free_pty;
}

static bool pty_open(pty_t *pty) {
    int master = posix_openpt(O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
    if (master == -1) {
        return false;
    }
    int slave = -1;
    struct termios mode;
    if (grantpt(master) == 0 && unlockpt(master) == 0
        && ptsname_r(master, pty->path, sizeof(pty->path)) == 0
        && (slave = open(pty->path, O_RDWR | O_NOCTTY | O_CLOEXEC)) != -1
        && tcgetattr(slave, &mode) == 0) {
        cfmakeraw(&mode);
        if (tcsetattr(slave, TCSANOW, &mode) == 0) {
            pty->master = master;
            pty->slave = slave;
            return true;
        }
    }
    int error = errno;
    if (slave != -1) {
        close(slave);
    }
    close(master);
    errno = error;
    return false;
}

// openpty() -> (fd, path): a new pseudo-terminal in raw mode. `fd` is its master, non-blocking;
// `path` is what a terminal program opens. The slave is kept open here until the master is closed,
// so that a read never fails with EIO while no program has it open. Raises OSError; EMFILE when
// 16 are open.
static mp_obj_t hostio_openpty(void) {
    pty_t *pty = pty_alloc();
    if (!pty_open(pty)) {
        mp_raise_OSError(errno);
    }
    mp_obj_t items[] = {
        MP_OBJ_NEW_SMALL_INT(pty->master),
        mp_obj_new_str(pty->path, strlen(pty->path)),
    };
    return mp_obj_new_tuple(MP_ARRAY_SIZE(items), items);
}
static MP_DEFINE_CONST_FUN_OBJ_0(hostio_openpty_obj, hostio_openpty);

// Mark every descriptor above stderr to be closed by a successful exec.
static bool close_all_on_exec(void) {
    DIR *dir = opendir("/proc/self/fd");
    if (dir == NULL) {
        return false;
    }
    struct dirent *entry;
    while ((entry = readdir(dir)) != NULL) {
        int fd = atoi(entry->d_name); // 0 for "." and ".."
        if (fd > STDERR_FILENO) {
            fcntl(fd, F_SETFD, FD_CLOEXEC);
        }
    }
    closedir(dir);
    return true;
}

// This process's arguments as execv wants them: one block that holds the pointers, then the
// strings. NULL with errno set when they can't be read.
static char **read_arguments(void) {
    int fd = open("/proc/self/cmdline", O_RDONLY | O_CLOEXEC);
    if (fd == -1) {
        return NULL;
    }
    char *text = malloc(MAX_CMDLINE);
    size_t size = 0;
    ssize_t n = -1;
    while (text != NULL && size < MAX_CMDLINE && (n = read(fd, text + size, MAX_CMDLINE - size)) > 0) {
        size += n;
    }
    int error = size == MAX_CMDLINE ? E2BIG : errno;
    close(fd);
    if (text == NULL || n != 0) {
        free(text);
        errno = error;
        return NULL;
    }
    size_t count = 0;
    for (size_t i = 0; i < size; i++) {
        count += text[i] == '\0';
    }
    char **arguments = malloc((count + 1) * sizeof(char *));
    if (arguments == NULL) {
        free(text);
        errno = ENOMEM;
        return NULL;
    }
    char *argument = text;
    for (size_t i = 0; i < count; i++) {
        arguments[i] = argument;
        argument += strlen(argument) + 1;
    }
    arguments[count] = NULL;
    return arguments;
}

// restart(): close every descriptor but stdin, stdout and stderr, and run the same program with the same
// arguments in this process. Does not return. Raises OSError when it fails; descriptors above
// stderr then do not survive an exec, but are still open.
static mp_obj_t hostio_restart(void) {
    char **arguments = read_arguments();
    if (arguments == NULL || !close_all_on_exec()) {
        mp_raise_OSError(errno);
    }
    // The watchdog's time would go on over the exec, and what it does would not.
    struct itimerval never = { 0 };
    setitimer(ITIMER_REAL, &never, NULL);
    // By its name where it has one: the process list shows that. A program that was replaced on
    // disk has none ("... (deleted)") and is run from memory.
    char path[PATH_MAX];
    ssize_t length = readlink("/proc/self/exe", path, sizeof(path) - 1);
    if (length > 0) {
        path[length] = '\0';
        execv(path, arguments);
    }
    execv("/proc/self/exe", arguments);
    mp_raise_OSError(errno);
}
static MP_DEFINE_CONST_FUN_OBJ_0(hostio_restart_obj, hostio_restart);

static char **watchdog_arguments;
static char watchdog_path[PATH_MAX];

// The program may be anywhere, in malloc() too: only what a signal handler may call.
static void watchdog_bites(int number) {
    static const char message[] = "watchdog: the program starts anew\n";
    ssize_t written = write(STDERR_FILENO, message, sizeof(message) - 1);
    (void)written;
    for (long fd = sysconf(_SC_OPEN_MAX) < 4096 ? sysconf(_SC_OPEN_MAX) : 4096; --fd > STDERR_FILENO;) {
        close(fd);
    }
    // The signals that are blocked stay so over an exec.
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    execv(watchdog_path, watchdog_arguments);
    _exit(128 + number);
}

// watchdog(ms): start this program anew, as restart() does, unless this is called again within so
// many milliseconds; 0 stops it. Raises OSError.
static mp_obj_t hostio_watchdog(mp_obj_t ms_in) {
    mp_int_t ms = mp_obj_get_int(ms_in);
    if (watchdog_arguments == NULL) {
        ssize_t length = readlink("/proc/self/exe", watchdog_path, sizeof(watchdog_path) - 1);
        if (length < 0 || (watchdog_arguments = read_arguments()) == NULL) {
            mp_raise_OSError(errno);
        }
        watchdog_path[length] = '\0';
        struct sigaction action = { .sa_handler = watchdog_bites };
        sigaction(SIGALRM, &action, NULL);
    }
    struct itimerval timer = { .it_value = { .tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000 } };
    setitimer(ITIMER_REAL, &timer, NULL);
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_1(hostio_watchdog_obj, hostio_watchdog);

// local_port(fd): the port that an IPv4 or IPv6 socket is bound to; the unix port's socket has no
// getsockname. Raises OSError.
static mp_obj_t hostio_local_port(mp_obj_t fd_in) {
    struct sockaddr_storage address;
    socklen_t size = sizeof(address);
    if (getsockname(mp_obj_get_int(fd_in), (struct sockaddr *)&address, &size) != 0) {
        mp_raise_OSError(errno);
    }
    if (address.ss_family == AF_INET) {
        return MP_OBJ_NEW_SMALL_INT(ntohs(((struct sockaddr_in *)&address)->sin_port));
    }
    if (address.ss_family == AF_INET6) {
        return MP_OBJ_NEW_SMALL_INT(ntohs(((struct sockaddr_in6 *)&address)->sin6_port));
    }
    mp_raise_OSError(EAFNOSUPPORT);
}
static MP_DEFINE_CONST_FUN_OBJ_1(hostio_local_port_obj, hostio_local_port);

static const mp_rom_map_elem_t hostio_globals_table[] = {
    { MP_ROM_QSTR(MP_QSTR___name__), MP_ROM_QSTR(MP_QSTR_hostio) },
    { MP_ROM_QSTR(MP_QSTR_local_port), MP_ROM_PTR(&hostio_local_port_obj) },
    { MP_ROM_QSTR(MP_QSTR_openpty), MP_ROM_PTR(&hostio_openpty_obj) },
    { MP_ROM_QSTR(MP_QSTR_restart), MP_ROM_PTR(&hostio_restart_obj) },
    { MP_ROM_QSTR(MP_QSTR_watchdog), MP_ROM_PTR(&hostio_watchdog_obj) },
};
static MP_DEFINE_CONST_DICT(hostio_globals, hostio_globals_table);

const mp_obj_module_t hostio_module = {
    .base = { &mp_type_module },
    .globals = (mp_obj_dict_t *)&hostio_globals,
};

MP_REGISTER_MODULE(MP_QSTR_hostio, hostio_module);
