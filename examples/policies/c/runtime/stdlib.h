// What policies and their bindings need of C's library; `runtime.c` has it. There is no other.
#pragma once
#include <stddef.h>

void *malloc(size_t size);
void *calloc(size_t count, size_t size);
void *realloc(void *old, size_t size);
void free(void *room);
_Noreturn void abort(void);
