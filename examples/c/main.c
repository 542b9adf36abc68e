/* A device's life in one run: it leaves the factory, takes an update whose download is interrupted, tries it out and
 * keeps it. Each `start` below is what a boot loader does after a reset; the rest is the application. Before it jumps, a boot
 * loader starts the watchdog: an image that hangs before its first line has to come back, too. */
#include "board.h"
#include "key.h" /* written by `whittle pubkey --to c` */

#define SLOT_BYTES (256 * 1024)

static uint8_t journal_memory[16 * 1024], slot_memory[2][SLOT_BYTES], staging_memory[SLOT_BYTES];
static struct whittle_flash staging;
static struct whittle_config config;

static struct whittle_updater updater;
static struct whittle_download download;
static struct whittle_flags flags;

/* Lent to the library while it downloads and installs. */
static uint8_t block[4096], page[256];
static uint64_t tables[WHITTLE_TABLES_16K / sizeof(uint64_t)];

/* Stands for the radio. */
static uint8_t package[SLOT_BYTES];

static uint32_t watchdog_fed;

/* Prints a step and what it returned. */
static int32_t say(const char *name, int32_t result) {
    print(name);
    print(": ");
    print(whittle_error_text(result));
    print("\n");
    return result;
}

/* The same where any error ends the example. */
static int32_t step(const char *name, int32_t result) {
    say(name, result);
    if (whittle_culprit_of(result) != WHITTLE_CULPRIT_NOBODY) stop(1);
    return result;
}

static void tell(const char *name, uint32_t number) {
    print("  ");
    print(name);
    print(" ");
    print_number(number);
    print("\n");
}

static void feed_watchdog(void *context, uint32_t written) {
    (void)context;
    (void)written;
    watchdog_fed++;
}

static void start(uint32_t cause) {
    struct whittle_boot_choice choice;
    int32_t result = say("open", whittle_open(&updater, &config));
    if (result == WHITTLE_OK) result = say("boot", whittle_boot(&updater, cause, &choice));
    if (result != WHITTLE_OK) {
        /* Without a journal nobody knows about trials and counters, but a signed image is better than a brick. */
        step("any signed slot", whittle_any_signed_slot(&config, &choice));
    }
    if (choice.slot == WHITTLE_SLOT_NONE) {
        print("  no slot: recovery\n");
    } else {
        print(choice.slot == WHITTLE_SLOT_A ? "  slot A holds " : "  slot B holds ");
        print(choice.image.version);
        print("\n");
    }
    /* From here on it is the application that has opened the updater, and knows from where it runs. */
    struct whittle_state state = {0};
    if (choice.slot != WHITTLE_SLOT_NONE) whittle_set_running_slot(&updater, choice.slot);
    whittle_state(&updater, &state);
    if (state.phase == WHITTLE_PHASE_TRIAL) print("  on trial\n");
}

/* Feeds the download from `from` to `to` in chunks as a radio delivers them. */
static int32_t push(uint32_t from, uint32_t to) {
    int32_t result = WHITTLE_OK;
    while (from < to && result == WHITTLE_OK) {
        const uint32_t len = to - from < 64 ? to - from : 64;
        result = whittle_download_push(&download, package + from, len, NULL);
        from += len;
        feed_watchdog(NULL, 0);
    }
    struct whittle_state state = {0};
    whittle_state(&updater, &state);
    if (whittle_culprit_of(result) == WHITTLE_CULPRIT_PACKAGE && state.phase == WHITTLE_PHASE_DOWNLOADING) {
        /* What came is not what was signed, or begun: there is nothing to go on with. */
        whittle_abandon(&updater);
    }
    return result;
}

static void install(void) {
    const struct whittle_install_buffers buffers = {
        .block = block, .block_len = sizeof block,
        .page = page, .page_len = sizeof page,
        .tables = tables, .tables_len = sizeof tables,
    };
    struct whittle_signed_image image;
    step("install", whittle_install(&updater, &staging, &buffers, feed_watchdog, NULL, &image));
    tell("bytes of the image", image.size);
    step("activate", whittle_activate(&updater));
}

/* Stands for what you know of your device. */
static bool is_well(void) { return flash_changes() > 0; }

/* Health checks that do not end before a deadline call whittle_too_late(). */
static void try_out(void) {
    struct whittle_state state = {0};
    whittle_state(&updater, &state);
    if (state.phase != WHITTLE_PHASE_TRIAL) return;
    if (is_well()) {
        step("healthy", whittle_healthy(&updater));
    } else {
        step("unhealthy", whittle_unhealthy(&updater));
    }
    whittle_state(&updater, &state);
    tell("security counter", state.security_counter);
}

int main(void) {
    staging = flash_in(staging_memory, sizeof staging_memory);
    config = (struct whittle_config){
        .product = "thermostat",
        .hardware_revision = 1,
        .decoder_ram_bytes = 32 * 1024,
        .keys = &whittle_public_key,
        .key_count = 1,
        .journal = flash_in(journal_memory, sizeof journal_memory),
        .slots = {flash_in(slot_memory[0], SLOT_BYTES), flash_in(slot_memory[1], SLOT_BYTES)},
    };

    print("--- the factory: nothing is there, so the whole image is installed\n");
    start(WHITTLE_RESET_CAUSE_POWER_ON);
    uint32_t len = (uint32_t)read_file("first.pkg", package, sizeof package);
    step("begin", whittle_download_begin(&download, &updater, &staging, block, sizeof block));
    step("push", push(0, len));
    step("finish", whittle_download_finish(&download));
    install();
    start(WHITTLE_RESET_CAUSE_SOFTWARE);
    try_out();

    print("--- an update, and a power cut in the middle of its download\n");
    len = (uint32_t)read_file("update.pkg", package, sizeof package);
    step("begin", whittle_download_begin(&download, &updater, &staging, block, sizeof block));
    step("push", push(0, len / 2));
    start(WHITTLE_RESET_CAUSE_POWER_ON);
    uint32_t offset = 0;
    step("resume", whittle_download_resume(&download, &updater, &staging, block, sizeof block));
    step("offset", whittle_download_offset(&download, &offset));
    print(offset > len / 4 && offset <= len / 2 ? "  goes on in the middle\n" : "  begins anew\n");
    step("push", push(offset, len));
    step("finish", whittle_download_finish(&download));
    install();
    start(WHITTLE_RESET_CAUSE_SOFTWARE);
    try_out();
    start(WHITTLE_RESET_CAUSE_POWER_ON);

    print("--- flags\n");
    static uint8_t document[1024];
    const size_t document_len = read_file("flags.bin", document, sizeof document);
    step("accept flags", whittle_accept_flags(&updater, document, document_len));
    step("read flags", whittle_read_flags(&updater, &flags));
    const char *const groups[] = {"beta"};
    const struct whittle_facts facts = {
        .id = (const uint8_t *)"TH-2026-0001", .id_len = 12, .groups = groups, .group_count = 1,
    };
    struct whittle_decision decision = {0};
    step("flag holiday-mode", whittle_flag(&flags, "holiday-mode", &facts, &decision));
    print(decision.is_on ? "  on\n" : "  off\n");
    step("flag no-such-flag", whittle_flag(&flags, "no-such-flag", &facts, &decision));

    print(watchdog_fed > 0 && flash_changes() > 0 ? "--- done\n" : "--- nothing was written\n");
    return 0;
}
