/* What the example wants from its board: words out, files in, memory that behaves as flash does. */
#ifndef BOARD_H
#define BOARD_H

#include <stddef.h>
#include <stdint.h>

#include "whittle.h"

/* Sectors and writes of the emulated flash, in bytes. */
#define SECTOR_BYTES 2048
#define WRITE_BYTES 8

void print(const char *text);
void print_number(uint32_t number);
_Noreturn void stop(int code);

/* Reads a whole file of the host into `into` and returns its length. */
size_t read_file(const char *name, uint8_t *into, size_t size);

/* Makes `memory` an erased region of flash. */
struct whittle_flash flash_in(uint8_t *memory, uint32_t size);

/* Calls so far that changed flash. */
uint32_t flash_changes(void);

#endif
