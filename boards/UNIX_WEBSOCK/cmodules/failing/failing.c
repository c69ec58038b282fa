// failing: allocations that fail when a test says so.
//
// The linker has the interpreter call what is here in place of its allocator (ld's --wrap).

#include "py/gc.h"
#include "py/runtime.h"

// Allocations seen since the last at(). The next one to fail, 0 for none, and how many with it.
static size_t counted;
static size_t failing;
static size_t failures;

static bool fails(void) {
    counted += 1;
    return failing && counted >= failing && counted - failing < failures;
}

void *__real_gc_alloc(size_t n_bytes, unsigned int flags);
void *__real_gc_realloc(void *ptr, size_t n_bytes, bool allow_move);

void *__wrap_gc_alloc(size_t n_bytes, unsigned int flags) {
    return fails() ? NULL : __real_gc_alloc(n_bytes, flags);
}

void *__wrap_gc_realloc(void *ptr, size_t n_bytes, bool allow_move) {
    // One that shrinks or frees always succeeds.
    if (n_bytes && (ptr == NULL || n_bytes > gc_nbytes(ptr)) && fails()) {
        return NULL;
    }
    return __real_gc_realloc(ptr, n_bytes, allow_move);
}

// at(n, count=1): let the n-th allocation from now fail, 0 for none, and the `count - 1` after it.
static mp_obj_t failing_at(size_t n_args, const mp_obj_t *args) {
    failing = mp_obj_get_int(args[0]);
    failures = n_args > 1 ? mp_obj_get_int(args[1]) : 1;
    counted = 0;
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_VAR_BETWEEN(failing_at_obj, 1, 2, failing_at);

// counted(): how many allocations there have been since at().
static mp_obj_t failing_counted(void) {
    return MP_OBJ_NEW_SMALL_INT(counted);
}
static MP_DEFINE_CONST_FUN_OBJ_0(failing_counted_obj, failing_counted);

static const mp_rom_map_elem_t failing_globals_table[] = {
    { MP_ROM_QSTR(MP_QSTR___name__), MP_ROM_QSTR(MP_QSTR_failing) },
    { MP_ROM_QSTR(MP_QSTR_at), MP_ROM_PTR(&failing_at_obj) },
    { MP_ROM_QSTR(MP_QSTR_counted), MP_ROM_PTR(&failing_counted_obj) },
};
static MP_DEFINE_CONST_DICT(failing_globals, failing_globals_table);

const mp_obj_module_t failing_module = {
    .base = { &mp_type_module },
    .globals = (mp_obj_dict_t *)&failing_globals,
};

MP_REGISTER_MODULE(MP_QSTR_failing, failing_module);
