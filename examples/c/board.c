/* QEMU's mps2-an386: start-up code, semihosting, and flash emulated in RAM. */
#include "board.h"

extern uint32_t data_load[], data_start[], data_end[], bss_start[], bss_end[], stack_top[];

int main(void);

/* The first thing that runs: makes memory what C expects. */
_Noreturn void reset(void) {
    const uint32_t *from = data_load;
    for (uint32_t *to = data_start; to < data_end; to++) *to = *from++;
    for (uint32_t *to = bss_start; to < bss_end; to++) *to = 0;
    stop(main());
}

static _Noreturn void fault(void) {
    print("fault\n");
    stop(102);
}

typedef void (*handler)(void);
__attribute__((section(".vectors"), used)) static const handler vectors[16] = {
    (handler)(uintptr_t)stack_top, reset, fault, fault, fault, fault, fault, 0, 0, 0, 0,
    fault, fault, 0, fault, fault,
};

/* The library found a mistake of its own: real firmware resets the chip. */
void whittle_on_panic(void) {
    print("panic\n");
    stop(101);
}

/* --- semihosting: the debugger, here QEMU, does what the number asks for --- */

enum { SYS_OPEN = 0x01, SYS_WRITE0 = 0x04, SYS_READ = 0x06, SYS_FLEN = 0x0c, SYS_EXIT_EXTENDED = 0x20 };

static intptr_t ask_host(int what, const void *argument) {
    register int operation __asm__("r0") = what;
    register const void *block __asm__("r1") = argument;
    __asm__ volatile("bkpt 0xab" : "+r"(operation) : "r"(block) : "memory");
    return operation;
}

void print(const char *text) { ask_host(SYS_WRITE0, text); }

void print_number(uint32_t number) {
    char digits[11];
    char *first = digits + sizeof digits - 1;
    *first = 0;
    do {
        *--first = (char)('0' + number % 10);
        number /= 10;
    } while (number > 0);
    print(first);
}

_Noreturn void stop(int code) {
    const uintptr_t reason[] = {0x20026 /* the application ended */, (uintptr_t)code};
    ask_host(SYS_EXIT_EXTENDED, reason);
    for (;;) {
    }
}

size_t read_file(const char *name, uint8_t *into, size_t size) {
    size_t name_len = 0;
    while (name[name_len] != 0) name_len++;
    const uintptr_t open[] = {(uintptr_t)name, 1 /* "rb" */, name_len};
    const intptr_t file = ask_host(SYS_OPEN, open);
    const uintptr_t length[] = {(uintptr_t)file};
    const intptr_t len = file < 0 ? -1 : ask_host(SYS_FLEN, length);
    if (len < 0 || (size_t)len > size) {
        print("cannot read ");
        print(name);
        print("\n");
        stop(2);
    }
    const uintptr_t read[] = {(uintptr_t)file, (uintptr_t)into, (uintptr_t)len};
    if (ask_host(SYS_READ, read) != 0) stop(2);
    return (size_t)len;
}

/* --- flash in RAM: erasing sets sectors to ones, writing clears bits of what is erased --- */

static uint32_t changes;

uint32_t flash_changes(void) { return changes; }

static int read(void *context, uint32_t offset, uint8_t *into, uint32_t len) {
    const uint8_t *cells = (const uint8_t *)context + offset;
    for (uint32_t at = 0; at < len; at++) into[at] = cells[at];
    return 0;
}

static int erase(void *context, uint32_t offset, uint32_t len) {
    if (offset % SECTOR_BYTES != 0 || len % SECTOR_BYTES != 0) return -1;
    uint8_t *cells = (uint8_t *)context + offset;
    for (uint32_t at = 0; at < len; at++) cells[at] = 0xff;
    changes++;
    return 0;
}

static int write(void *context, uint32_t offset, const uint8_t *bytes, uint32_t len) {
    if (offset % WRITE_BYTES != 0 || len % WRITE_BYTES != 0) return -1;
    uint8_t *cells = (uint8_t *)context + offset;
    for (uint32_t at = 0; at < len; at++) {
        if (cells[at] != 0xff) return -2;
        cells[at] = bytes[at];
    }
    changes++;
    return 0;
}

struct whittle_flash flash_in(uint8_t *memory, uint32_t size) {
    for (uint32_t at = 0; at < size; at++) memory[at] = 0xff;
    return (struct whittle_flash){
        .context = memory,
        .size = size,
        .erase_size = SECTOR_BYTES,
        .write_size = WRITE_BYTES,
        .read = read,
        .erase = erase,
        .write = write,
    };
}
