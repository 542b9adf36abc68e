// The little of C's library that a policy needs, so that it is compiled by any clang that knows wasm32.

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define PAGE 65536u
#define ALIGNMENT 16u

extern unsigned char __heap_base;

static uintptr_t next;

// Nothing is given back: each call has an instance of its own, which ends with it. The size stands in front of the room.
void *malloc(size_t size)
{
    if (!next) {
        next = ((uintptr_t)&__heap_base + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    }
    if (size > SIZE_MAX - 3 * ALIGNMENT - next) {
        return NULL;
    }
    const uintptr_t room = next + ALIGNMENT;
    const uintptr_t end = (room + size + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    const size_t pages = end / PAGE + 1, present = __builtin_wasm_memory_size(0);
    if (pages > present && __builtin_wasm_memory_grow(0, pages - present) == SIZE_MAX) {
        return NULL;
    }
    *(size_t *)next = size;
    next = end;
    return (void *)room;
}

void *calloc(size_t count, size_t size)
{
    size_t bytes;
    if (__builtin_mul_overflow(count, size, &bytes)) {
        return NULL;
    }
    void *room = malloc(bytes);
    return room ? memset(room, 0, bytes) : NULL;
}

void *realloc(void *old, size_t size)
{
    void *room = malloc(size);
    if (room && old) {
        const size_t had = *(size_t *)((uintptr_t)old - ALIGNMENT);
        memcpy(room, old, had < size ? had : size);
    }
    return room;
}

void free(void *room)
{
    (void)room;
}

void abort(void)
{
    __builtin_trap();
}

// With bulk memory these are single instructions of WebAssembly.
void *memcpy(void *restrict to, const void *restrict from, size_t size)
{
    return __builtin_memcpy(to, from, size);
}

void *memmove(void *to, const void *from, size_t size)
{
    return __builtin_memmove(to, from, size);
}

void *memset(void *to, int byte, size_t size)
{
    return __builtin_memset(to, byte, size);
}

int memcmp(const void *a, const void *b, size_t size)
{
    const unsigned char *left = a, *right = b;
    for (size_t i = 0; i < size; i++) {
        if (left[i] != right[i]) {
            return left[i] < right[i] ? -1 : 1;
        }
    }
    return 0;
}

size_t strlen(const char *s)
{
    size_t length = 0;
    while (s[length]) {
        length++;
    }
    return length;
}

// The bindings want to be linked with a file that has their types; `whittle policy build` adds the types itself.
void __component_type_object_force_link_rollout_policy(void)
{
}
