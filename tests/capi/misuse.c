/* Everything that C can do wrongly with whittle.h, on the host: each call must return its error and touch nothing.
 *
 * Runs in a directory with first.pkg, update.pkg, in-place.pkg, flags.bin and stage.bin. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "key.h"
#include "whittle.h"

enum { SLOT = 256 * 1024, JOURNAL = 16 * 1024 };

static int checks;

static void expect(int32_t got, int32_t wanted, const char *call, int line) {
    checks++;
    if (got != wanted) {
        printf("line %d: %s is %d (%s), wanted %d (%s)\n", line, call, (int)got,
               whittle_error_text(got), (int)wanted, whittle_error_text(wanted));
        exit(1);
    }
}
#define EXPECT(wanted, call) expect(call, WHITTLE_##wanted, #call, __LINE__)
#define CHECK(what) expect((what) ? WHITTLE_OK : -1, WHITTLE_OK, #what, __LINE__)

void whittle_on_panic(void) {
    puts("panic");
    exit(1);
}

/* --- flash that can be told to fail --- */

struct chip {
    uint8_t *cells;
    unsigned changes;
    int fails_to_read, fails_to_write, fails_to_erase, forgets;
};

static int read_chip(void *context, uint32_t offset, uint8_t *into, uint32_t len) {
    struct chip *chip = context;
    if (chip->fails_to_read) return 5;
    memcpy(into, chip->cells + offset, len);
    return 0;
}

static int erase_chip(void *context, uint32_t offset, uint32_t len) {
    struct chip *chip = context;
    if (chip->fails_to_erase) return 5;
    memset(chip->cells + offset, 0xff, len);
    chip->changes++;
    return 0;
}

static int write_chip(void *context, uint32_t offset, const uint8_t *bytes, uint32_t len) {
    struct chip *chip = context;
    if (chip->fails_to_write) return 5;
    if (!chip->forgets) memcpy(chip->cells + offset, bytes, len);
    chip->changes++;
    return 0;
}

static struct whittle_flash flash(struct chip *chip, uint32_t size) {
    /* As large as is declared and no larger, so that the sanitizers see any byte outside. */
    chip->cells = malloc(size);
    memset(chip->cells, 0xff, size);
    return (struct whittle_flash){chip, size, 2048, 8, read_chip, erase_chip, write_chip};
}

static struct chip journal, a, b, staging_chip;
static struct whittle_flash staging;
static struct whittle_config config;
static struct whittle_updater updater;
static struct whittle_download download;
static struct whittle_flags flags;
static uint8_t block[4096], page[256];
static uint64_t tables[WHITTLE_TABLES_16K / 8];

static unsigned changes(void) {
    return journal.changes + a.changes + b.changes + staging_chip.changes;
}

struct file {
    uint8_t *bytes;
    size_t len;
};

static struct file read_file(const char *name) {
    FILE *in = fopen(name, "rb");
    if (in == NULL) exit(2);
    struct file file = {malloc(SLOT), 0};
    file.len = fread(file.bytes, 1, SLOT, in);
    fclose(in);
    return file;
}

static struct whittle_install_buffers buffers(void) {
    return (struct whittle_install_buffers){block, sizeof block, page, sizeof page, tables, sizeof tables};
}

static void fetch(const struct file *package) {
    EXPECT(OK, whittle_download_begin(&download, &updater, &staging, block, sizeof block));
    EXPECT(DONE, whittle_download_push(&download, package->bytes, package->len, NULL));
    EXPECT(OK, whittle_download_finish(&download));
}

static void configurations(void) {
    struct whittle_config wrong = config;
    EXPECT(ERROR_NULL_ARGUMENT, whittle_open(NULL, &config));
    EXPECT(ERROR_NULL_ARGUMENT, whittle_open(&updater, NULL));
    EXPECT(ERROR_BAD_ARGUMENT, whittle_open((struct whittle_updater *)((char *)&updater + 1), &config));

    wrong.product = NULL;
    EXPECT(ERROR_NULL_ARGUMENT, whittle_open(&updater, &wrong));
    wrong.product = "\xff";
    EXPECT(ERROR_BAD_ARGUMENT, whittle_open(&updater, &wrong));
    wrong.product = "a-name-that-is-longer-than-any-name-of-a-product-may-be-and-then-some";
    EXPECT(ERROR_BAD_ARGUMENT, whittle_open(&updater, &wrong));
    wrong = config;
    wrong.keys = NULL;
    EXPECT(ERROR_NULL_ARGUMENT, whittle_open(&updater, &wrong));
    wrong.key_count = 0;
    EXPECT(ERROR_BAD_ARGUMENT, whittle_open(&updater, &wrong));
    wrong.keys = config.keys;
    wrong.key_count = SIZE_MAX / 8;
    EXPECT(ERROR_BAD_ARGUMENT, whittle_open(&updater, &wrong));

    for (int region = 0; region < 3; region++) {
        for (int what = 0; what < 9; what++) {
            wrong = config;
            struct whittle_flash *of = region == 0 ? &wrong.journal : &wrong.slots[region - 1];
            switch (what) {
            case 0: of->read = NULL; break;
            case 1: of->erase = NULL; break;
            case 2: of->write = NULL; break;
            case 3: of->size = 0; break;
            case 4: of->size = whittle_erase_unit() + 1; break;
            case 5: of->write_size = 0; break;
            case 6: of->write_size = whittle_write_unit() * 2; break;
            case 7: of->erase_size = 0; break;
            case 8: of->erase_size = 3000; break;
            }
            EXPECT(ERROR_FLASH_GEOMETRY, whittle_open(&updater, &wrong));
        }
    }
    wrong = config;
    wrong.journal.size = whittle_erase_unit(); /* one bank only */
    EXPECT(ERROR_FLASH_GEOMETRY, whittle_open(&updater, &wrong));
    EXPECT(ERROR_NULL_ARGUMENT, whittle_any_signed_slot(NULL, NULL));
    EXPECT(ERROR_NULL_ARGUMENT, whittle_any_signed_slot(&config, NULL));
    EXPECT(ERROR_NULL_ARGUMENT, whittle_check_slot(NULL, 0, NULL));
    EXPECT(ERROR_BAD_ARGUMENT, whittle_check_slot(&config, 2, NULL));
    EXPECT(ERROR_ENVELOPE, whittle_check_slot(&config, 0, NULL));
    struct whittle_boot_choice choice;
    EXPECT(NOTHING, whittle_any_signed_slot(&config, &choice));
    CHECK(choice.slot == WHITTLE_SLOT_NONE);
    CHECK(changes() == 0);
}

/* What each function says to a handle that is not there, and to one that is not open. */
static void handles(void) {
    struct whittle_updater *none[] = {NULL, &updater};
    const int32_t wanted[] = {WHITTLE_ERROR_NULL_ARGUMENT, WHITTLE_ERROR_NOT_OPEN};
    struct whittle_boot_choice choice;
    struct whittle_state state;
    struct whittle_stage stage;
    struct whittle_decision decision;
    const struct whittle_facts facts = {0};
    size_t len;
    bool is_eligible;
    const struct whittle_install_buffers lent = buffers();
    const struct whittle_in_place_buffers lent_in_place = {lent, NULL, 0, NULL, 0};
    memset(&updater, 0xa5, sizeof updater);
    memset(&download, 0xa5, sizeof download);
    memset(&flags, 0xa5, sizeof flags);
    for (int at = 0; at < 2; at++) {
        struct whittle_updater *u = none[at];
        struct whittle_download *d = at == 0 ? NULL : &download;
        struct whittle_flags *f = at == 0 ? NULL : &flags;
#define SAYS(call) expect(call, wanted[at], #call, __LINE__)
        SAYS(whittle_boot(u, 0, &choice));
        SAYS(whittle_state(u, &state));
        SAYS(whittle_activate(u));
        SAYS(whittle_healthy(u));
        SAYS(whittle_unhealthy(u));
        SAYS(whittle_too_late(u));
        SAYS(whittle_abandon(u));
        SAYS(whittle_disable(u, 1));
        SAYS(whittle_enable(u, 1));
        SAYS(whittle_keep(u, block, 1));
        SAYS(whittle_kept(u, block, 1, &len));
        SAYS(whittle_install(u, &staging, &lent, NULL, NULL, NULL));
        SAYS(whittle_request_in_place(u));
        SAYS(whittle_is_in_place_wanted(u));
        SAYS(whittle_install_in_place(u, &staging, &staging, &lent_in_place, NULL, NULL, NULL));
        SAYS(whittle_accept_flags(u, block, 1));
        SAYS(whittle_read_flags(u, &flags));
        SAYS(whittle_accept_stage(u, block, 1, &stage));
        SAYS(whittle_kept_stage(u, &stage));
        SAYS(whittle_eligible(u, block, 1, NULL, &is_eligible));
        SAYS(whittle_admits(u, NULL, NULL, NULL, &is_eligible));
        SAYS(whittle_set_running_slot(u, WHITTLE_SLOT_A));
        SAYS(whittle_download_begin(&download, u, &staging, block, sizeof block));
        SAYS(whittle_download_resume(&download, u, &staging, block, sizeof block));
        SAYS(whittle_download_push(d, block, 1, &len));
        SAYS(whittle_download_offset(d, &(uint32_t){0}));
        SAYS(whittle_download_image(d, &choice.image));
        SAYS(whittle_download_finish(d));
        SAYS(whittle_download_close(d));
        SAYS(whittle_flag(f, "name", &facts, &decision));
    }
    CHECK(changes() == 0);
}

static void arguments(void) {
    const unsigned before = changes();
    struct whittle_boot_choice choice;
    EXPECT(ERROR_BAD_ARGUMENT, whittle_boot(&updater, 5, &choice));
    EXPECT(ERROR_NULL_ARGUMENT, whittle_boot(&updater, 0, NULL));
    EXPECT(ERROR_NULL_ARGUMENT, whittle_state(&updater, NULL));
    EXPECT(ERROR_NULL_ARGUMENT, whittle_keep(&updater, NULL, 1));
    EXPECT(ERROR_BAD_ARGUMENT, whittle_keep(&updater, block, SIZE_MAX));
    EXPECT(ERROR_TOO_LONG, whittle_keep(&updater, block, 1025));
    EXPECT(ERROR_NULL_ARGUMENT, whittle_accept_flags(&updater, NULL, 1));
    EXPECT(ERROR_ENVELOPE, whittle_accept_flags(&updater, block, 0));
    EXPECT(ERROR_NULL_ARGUMENT, whittle_accept_stage(&updater, NULL, 1, NULL));
    EXPECT(ERROR_NULL_ARGUMENT, whittle_read_flags(&updater, NULL));
    EXPECT(NOTHING, whittle_read_flags(&updater, &flags));
    struct whittle_stage stage;
    bool is_eligible;
    EXPECT(NOTHING, whittle_kept_stage(&updater, &stage));
    EXPECT(NOTHING, whittle_eligible(&updater, block, 1, NULL, &is_eligible));
    EXPECT(NOTHING, whittle_admits(&updater, NULL, NULL, NULL, &is_eligible));
    EXPECT(ERROR_NULL_ARGUMENT, whittle_download_begin(NULL, &updater, &staging, block, 1));
    EXPECT(ERROR_NULL_ARGUMENT, whittle_download_begin(&download, &updater, NULL, block, 1));
    EXPECT(ERROR_NULL_ARGUMENT, whittle_download_begin(&download, &updater, &staging, NULL, 1));
    struct whittle_flash wrong = staging;
    wrong.read = NULL;
    EXPECT(ERROR_FLASH_GEOMETRY, whittle_download_begin(&download, &updater, &wrong, block, 1));
    EXPECT(NOTHING, whittle_download_resume(&download, &updater, &staging, block, sizeof block));
    CHECK(changes() == before);

    size_t len = 9;
    uint8_t kept[4] = {0};
    EXPECT(NOTHING, whittle_kept(&updater, kept, sizeof kept, &len));
    CHECK(len == 0);
    EXPECT(OK, whittle_keep(&updater, (const uint8_t *)"abc", 3));
    EXPECT(ERROR_BUFFER_TOO_SMALL, whittle_kept(&updater, kept, 2, &len));
    EXPECT(ERROR_NULL_ARGUMENT, whittle_kept(&updater, NULL, 2, &len));
    EXPECT(ERROR_NULL_ARGUMENT, whittle_kept(&updater, kept, 3, NULL));
    EXPECT(OK, whittle_kept(&updater, kept, 3, &len));
    CHECK(len == 3 && memcmp(kept, "abc", 4) == 0);

    struct whittle_state state;
    EXPECT(OK, whittle_disable(&updater, 5));
    EXPECT(OK, whittle_enable(&updater, 1));
    EXPECT(OK, whittle_state(&updater, &state));
    CHECK(state.disabled == 4 && state.phase == WHITTLE_PHASE_IDLE);

    struct whittle_updater copy;
    memcpy(&copy, &updater, sizeof copy);
    EXPECT(ERROR_NOT_OPEN, whittle_state(&copy, &state));
}

static void wrong_order(const struct file *first) {
    const struct whittle_install_buffers lent = buffers();
    EXPECT(ERROR_OUT_OF_TURN, whittle_activate(&updater));
    EXPECT(ERROR_OUT_OF_TURN, whittle_healthy(&updater));
    EXPECT(ERROR_OUT_OF_TURN, whittle_unhealthy(&updater));
    EXPECT(ERROR_OUT_OF_TURN, whittle_too_late(&updater));
    EXPECT(ERROR_OUT_OF_TURN, whittle_abandon(&updater));
    EXPECT(ERROR_OUT_OF_TURN, whittle_install(&updater, &staging, &lent, NULL, NULL, NULL));
    EXPECT(ERROR_OUT_OF_TURN, whittle_request_in_place(&updater));
    EXPECT(NOTHING, whittle_is_in_place_wanted(&updater));

    /* While a download lasts, it has the updater. */
    struct whittle_state state;
    struct whittle_signed_image image;
    struct whittle_download other;
    EXPECT(OK, whittle_download_begin(&download, &updater, &staging, block, sizeof block));
    EXPECT(ERROR_BUSY, whittle_state(&updater, &state));
    EXPECT(ERROR_BUSY, whittle_abandon(&updater));
    EXPECT(ERROR_BUSY, whittle_download_begin(&other, &updater, &staging, block, sizeof block));
    EXPECT(ERROR_BUSY, whittle_download_begin(&download, &updater, &staging, block, sizeof block));
    EXPECT(NOTHING, whittle_download_image(&download, &image));
    EXPECT(ERROR_NULL_ARGUMENT, whittle_download_offset(&download, NULL));
    EXPECT(ERROR_NULL_ARGUMENT, whittle_download_push(&download, NULL, 1, NULL));
    memcpy(&other, &download, sizeof other);
    EXPECT(ERROR_NOT_OPEN, whittle_download_push(&other, first->bytes, 1, NULL));
    EXPECT(ERROR_TRUNCATED, whittle_download_finish(&download));
    EXPECT(ERROR_NOT_OPEN, whittle_download_finish(&download));
    EXPECT(OK, whittle_state(&updater, &state));

    EXPECT(OK, whittle_download_begin(&download, &updater, &staging, block, sizeof block));
    EXPECT(OK, whittle_download_close(&download));
    EXPECT(ERROR_NOT_OPEN, whittle_download_close(&download));

    /* An updater that is opened again forgets its downloads, and they do not forget it. */
    EXPECT(OK, whittle_download_begin(&download, &updater, &staging, block, sizeof block));
    EXPECT(OK, whittle_open(&updater, &config));
    EXPECT(ERROR_NOT_OPEN, whittle_download_push(&download, first->bytes, 1, NULL));
    EXPECT(OK, whittle_state(&updater, &state));
}

static void short_buffers(const struct file *first) {
    size_t taken = 9;
    EXPECT(OK, whittle_download_begin(&download, &updater, &staging, block, 16));
    EXPECT(ERROR_BUFFER_TOO_SMALL, whittle_download_push(&download, first->bytes, first->len, &taken));
    EXPECT(ERROR_NOT_OPEN, whittle_download_push(&download, first->bytes, 1, NULL));

    struct chip small = {0};
    struct whittle_flash region = flash(&small, 4096);
    EXPECT(OK, whittle_download_begin(&download, &updater, &region, block, sizeof block));
    EXPECT(ERROR_STAGING_FULL, whittle_download_push(&download, first->bytes, first->len, &taken));
    EXPECT(ERROR_OUT_OF_TURN, whittle_abandon(&updater)); /* nothing was begun */
    free(small.cells);

    fetch(first);
    struct whittle_install_buffers lent = buffers();
    EXPECT(ERROR_NULL_ARGUMENT, whittle_install(&updater, NULL, &lent, NULL, NULL, NULL));
    EXPECT(ERROR_NULL_ARGUMENT, whittle_install(&updater, &staging, NULL, NULL, NULL, NULL));
    lent.page_len = 33;
    EXPECT(ERROR_BUFFER_TOO_SMALL, whittle_install(&updater, &staging, &lent, NULL, NULL, NULL));
    lent.page_len = 0;
    EXPECT(ERROR_BUFFER_TOO_SMALL, whittle_install(&updater, &staging, &lent, NULL, NULL, NULL));
    lent = buffers();
    lent.block_len = 16;
    EXPECT(ERROR_BUFFER_TOO_SMALL, whittle_install(&updater, &staging, &lent, NULL, NULL, NULL));
    lent = buffers();
    lent.tables_len = WHITTLE_TABLES_4K - 1;
    EXPECT(ERROR_BUFFER_TOO_SMALL, whittle_install(&updater, &staging, &lent, NULL, NULL, NULL));
    lent.tables = (uint64_t *)((char *)tables + 4);
    EXPECT(ERROR_BAD_ARGUMENT, whittle_install(&updater, &staging, &lent, NULL, NULL, NULL));
    lent.tables = NULL;
    EXPECT(ERROR_NULL_ARGUMENT, whittle_install(&updater, &staging, &lent, NULL, NULL, NULL));
}

/* Calls back into the library, as it must not. */
static int32_t from_within;
static void calls_back(void *context, uint32_t written) {
    (void)written;
    from_within = whittle_activate(context);
}

static void failing_flash(void) {
    const struct whittle_install_buffers lent = buffers();
    struct whittle_state state;
    b.fails_to_erase = 1;
    EXPECT(ERROR_TARGET_FLASH, whittle_install(&updater, &staging, &lent, NULL, NULL, NULL));
    b.fails_to_erase = 0;
    b.fails_to_write = 1;
    EXPECT(ERROR_TARGET_FLASH, whittle_install(&updater, &staging, &lent, NULL, NULL, NULL));
    b.fails_to_write = 0;
    b.forgets = 1;
    EXPECT(ERROR_TARGET_READ_BACK, whittle_install(&updater, &staging, &lent, NULL, NULL, NULL));
    b.forgets = 0;
    staging_chip.fails_to_read = 1;
    EXPECT(ERROR_STAGING_FLASH, whittle_install(&updater, &staging, &lent, NULL, NULL, NULL));
    staging_chip.fails_to_read = 0;
    journal.fails_to_write = 1;
    EXPECT(ERROR_JOURNAL_FLASH, whittle_keep(&updater, block, 4));
    journal.fails_to_write = 0;
    struct chip blank = {.fails_to_erase = 1};
    struct whittle_config begun = config;
    begun.journal = flash(&blank, JOURNAL);
    EXPECT(ERROR_JOURNAL_FLASH, whittle_open(&updater, &begun));
    EXPECT(ERROR_NOT_OPEN, whittle_state(&updater, &state));
    free(blank.cells);
    EXPECT(OK, whittle_open(&updater, &config));
    EXPECT(OK, whittle_state(&updater, &state));
    CHECK(state.phase == WHITTLE_PHASE_VERIFIED);
    EXPECT(OK, whittle_install(&updater, &staging, &lent, calls_back, &updater, NULL));
    CHECK(from_within == WHITTLE_ERROR_BUSY);
}

static void packages(const struct file *update) {
    struct file changed = {malloc(update->len), update->len};
    memcpy(changed.bytes, update->bytes, update->len);
    struct whittle_boot_choice choice;
    EXPECT(OK, whittle_activate(&updater));
    EXPECT(OK, whittle_boot(&updater, WHITTLE_RESET_CAUSE_SOFTWARE, &choice));
    CHECK(choice.slot == WHITTLE_SLOT_B && strcmp(choice.image.version, "1.2.1") == 0);
    EXPECT(ERROR_OUT_OF_TURN, whittle_download_begin(&download, &updater, &staging, block, sizeof block));
    EXPECT(ERROR_ANOTHER_SLOT_RUNS, whittle_healthy(&updater)); /* nobody has told who says so */
    EXPECT(OK, whittle_set_running_slot(&updater, WHITTLE_SLOT_B));
    EXPECT(OK, whittle_healthy(&updater));

    const size_t places[] = {0, 60, update->len - 1};
    const int32_t errors[] = {WHITTLE_ERROR_ENVELOPE, WHITTLE_ERROR_BAD_SIGNATURE, WHITTLE_ERROR_BLOCK_MISMATCH};
    for (int at = 0; at < 3; at++) {
        changed.bytes[places[at]] ^= 1;
        EXPECT(OK, whittle_download_begin(&download, &updater, &staging, block, sizeof block));
        expect(whittle_download_push(&download, changed.bytes, changed.len, NULL), errors[at], "push", __LINE__);
        expect(whittle_culprit_of(errors[at]), WHITTLE_CULPRIT_PACKAGE, "culprit", __LINE__);
        changed.bytes[places[at]] ^= 1;
    }
    free(changed.bytes);
    struct whittle_config other = config;
    other.product = "boiler";
    EXPECT(ERROR_WRONG_PRODUCT, whittle_check_slot(&other, WHITTLE_SLOT_B, NULL));
    other = config;
    other.security_counter = 100;
    EXPECT(ERROR_COUNTER_TOO_LOW, whittle_check_slot(&other, WHITTLE_SLOT_B, NULL));
    struct whittle_signed_image image;
    EXPECT(OK, whittle_check_slot(&config, WHITTLE_SLOT_B, &image));
    CHECK(image.size == 156968 && image.is_delta == 0);
    EXPECT(OK, whittle_any_signed_slot(&config, &choice));
    CHECK(choice.slot == WHITTLE_SLOT_B);
}

static void documents(const struct file *flags_file, const struct file *stage_file) {
    EXPECT(OK, whittle_accept_flags(&updater, flags_file->bytes, flags_file->len));
    EXPECT(ERROR_ENVELOPE, whittle_accept_flags(&updater, flags_file->bytes, flags_file->len - 1));
    flags_file->bytes[60] ^= 1;
    EXPECT(ERROR_BAD_SIGNATURE, whittle_accept_flags(&updater, flags_file->bytes, flags_file->len));
    EXPECT(OK, whittle_read_flags(&updater, &flags));

    const char *groups[WHITTLE_MAX_GROUPS + 1];
    for (size_t at = 0; at <= WHITTLE_MAX_GROUPS; at++) groups[at] = "beta";
    struct whittle_facts facts = {(const uint8_t *)"x", 1, groups, WHITTLE_MAX_GROUPS, "EU"};
    struct whittle_decision decision;
    EXPECT(OK, whittle_flag(&flags, "holiday-mode", &facts, &decision));
    CHECK(decision.is_on && decision.reason == WHITTLE_REASON_RULE && decision.rule == 0);
    EXPECT(OK, whittle_flag(&flags, "broken", &facts, &decision));
    CHECK(!decision.is_on && decision.reason == WHITTLE_REASON_FLAG_KILLED);
    EXPECT(NOTHING, whittle_flag(&flags, "unknown", &facts, &decision));
    EXPECT(ERROR_NULL_ARGUMENT, whittle_flag(&flags, NULL, &facts, &decision));
    EXPECT(ERROR_NULL_ARGUMENT, whittle_flag(&flags, "broken", NULL, &decision));
    EXPECT(ERROR_NULL_ARGUMENT, whittle_flag(&flags, "broken", &facts, NULL));
    facts.group_count++;
    EXPECT(ERROR_BAD_ARGUMENT, whittle_flag(&flags, "broken", &facts, &decision));
    groups[0] = NULL;
    facts.group_count = 1;
    EXPECT(ERROR_NULL_ARGUMENT, whittle_flag(&flags, "broken", &facts, &decision));
    struct whittle_flags copy;
    memcpy(&copy, &flags, sizeof copy);
    EXPECT(ERROR_NOT_OPEN, whittle_flag(&copy, "broken", &facts, &decision));

    struct whittle_stage stage;
    bool is_eligible = false;
    EXPECT(OK, whittle_accept_stage(&updater, stage_file->bytes, stage_file->len, &stage));
    EXPECT(OK, whittle_accept_stage(&updater, stage_file->bytes, stage_file->len, NULL));
    EXPECT(OK, whittle_kept_stage(&updater, &stage));
    CHECK(stage.share_ppm == 1000000 && strcmp(stage.version, "1.2.2") == 0);
    EXPECT(ERROR_NULL_ARGUMENT, whittle_kept_stage(&updater, NULL));
    EXPECT(ERROR_NULL_ARGUMENT, whittle_eligible(&updater, block, 1, NULL, NULL));
    EXPECT(OK, whittle_eligible(&updater, block, 1, NULL, &is_eligible));
    CHECK(is_eligible);
    struct whittle_signed_image image;
    EXPECT(OK, whittle_check_slot(&config, WHITTLE_SLOT_B, &image));
    EXPECT(OK, whittle_eligible(&updater, block, 1, &image, &is_eligible));
    CHECK(!is_eligible); /* the stage is for 1.2.2, and this is 1.2.1 */

    bool is_admitted = true;
    const char *beta = "beta";
    struct whittle_facts inside = {(const uint8_t *)"x", 1, &beta, 1, NULL};
    const struct whittle_facts outside = {(const uint8_t *)"x", 1, NULL, 0, NULL};
    EXPECT(OK, whittle_admits(&updater, NULL, &inside, NULL, &is_admitted));
    CHECK(!is_admitted); /* no flags, so nobody has opened the gate */
    EXPECT(OK, whittle_admits(&updater, &flags, &inside, NULL, &is_admitted));
    CHECK(is_admitted);
    EXPECT(OK, whittle_admits(&updater, &flags, &outside, NULL, &is_admitted));
    CHECK(!is_admitted); /* within the share, and the gate is shut */
    EXPECT(OK, whittle_admits(&updater, &flags, &inside, &image, &is_admitted));
    CHECK(!is_admitted);
    EXPECT(ERROR_NULL_ARGUMENT, whittle_admits(&updater, &flags, NULL, NULL, &is_admitted));
    EXPECT(ERROR_NULL_ARGUMENT, whittle_admits(&updater, &flags, &inside, NULL, NULL));
    EXPECT(ERROR_NOT_OPEN, whittle_admits(&updater, &copy, &inside, NULL, &is_admitted));

    EXPECT(ERROR_BAD_ARGUMENT, whittle_set_running_slot(&updater, WHITTLE_SLOT_NONE));
    EXPECT(OK, whittle_set_running_slot(&updater, WHITTLE_SLOT_A));
    EXPECT(ERROR_OUT_OF_TURN, whittle_healthy(&updater));
    EXPECT(ERROR_ANOTHER_SLOT_RUNS, whittle_download_begin(&download, &updater, &staging, block, sizeof block));
    EXPECT(OK, whittle_set_running_slot(&updater, WHITTLE_SLOT_B));
    EXPECT(ERROR_OUT_OF_TURN, whittle_healthy(&updater));
}

/* A device with a single slot, from the factory to an update in place that a failing flash interrupts. */
static void single_slot(const struct file *first, const struct file *in_place) {
    static uint16_t seats[SLOT / 4096];
    static uint8_t head[WHITTLE_HEAD_BYTES];
    struct whittle_in_place_buffers lent = {buffers(), seats, SLOT / 4096, head, sizeof head};
    static struct chip slot, kept, one_journal;
    struct whittle_flash states = flash(&kept, 2 * WHITTLE_TABLES_16K);
    struct whittle_config single = config;
    single.journal = flash(&one_journal, JOURNAL);
    single.slots[0] = single.slots[1] = flash(&slot, SLOT);
    struct whittle_boot_choice choice;
    struct whittle_state state;
    struct whittle_signed_image image;
#define INSTALL() whittle_install_in_place(&updater, &staging, &states, &lent, NULL, NULL, &image)

    EXPECT(OK, whittle_open_single(&updater, &single));
    EXPECT(OK, whittle_boot(&updater, WHITTLE_RESET_CAUSE_POWER_ON, &choice));
    CHECK(choice.slot == WHITTLE_SLOT_NONE);
    EXPECT(ERROR_OUT_OF_TURN, whittle_request_in_place(&updater));
    fetch(first);
    EXPECT(ERROR_OUT_OF_TURN, whittle_install(&updater, &staging, &lent.install, NULL, NULL, NULL));
    EXPECT(ERROR_OUT_OF_TURN, INSTALL());
    EXPECT(NOTHING, whittle_is_in_place_wanted(&updater));
    EXPECT(OK, whittle_request_in_place(&updater));
    EXPECT(OK, whittle_is_in_place_wanted(&updater));
    EXPECT(OK, INSTALL());
    EXPECT(OK, whittle_boot(&updater, WHITTLE_RESET_CAUSE_SOFTWARE, &choice));
    CHECK(choice.slot == WHITTLE_SLOT_A && strcmp(choice.image.version, "1.2.1") == 0);

    fetch(in_place);
    EXPECT(OK, whittle_request_in_place(&updater));
    const unsigned before = slot.changes;
    states.size = whittle_erase_unit() * 2;
    EXPECT(ERROR_STATES_FULL, INSTALL());
    states.size = 2 * WHITTLE_TABLES_16K;
    lent.seat_count = SIZE_MAX;
    EXPECT(ERROR_BAD_ARGUMENT, INSTALL());
    lent.seat_count = SLOT / 4096;
    lent.seats = NULL;
    EXPECT(ERROR_NULL_ARGUMENT, INSTALL());
    lent.seats = seats;
    EXPECT(ERROR_NULL_ARGUMENT, whittle_install_in_place(&updater, &staging, NULL, &lent, NULL, NULL, NULL));
    EXPECT(ERROR_NULL_ARGUMENT, whittle_install_in_place(&updater, &staging, &states, NULL, NULL, NULL, NULL));
    CHECK(slot.changes == before);

    kept.fails_to_write = 1;
    EXPECT(ERROR_STATES_FLASH, INSTALL());
    CHECK(slot.changes > before);
    kept.fails_to_write = 0;
    EXPECT(OK, whittle_open_single(&updater, &single));
    EXPECT(OK, whittle_is_in_place_wanted(&updater));
    EXPECT(OK, INSTALL());
    CHECK(strcmp(image.version, "1.2.2") == 0 && image.is_delta == 1);
    EXPECT(NOTHING, whittle_is_in_place_wanted(&updater));
    EXPECT(OK, whittle_boot(&updater, WHITTLE_RESET_CAUSE_SOFTWARE, &choice));
    CHECK(choice.slot == WHITTLE_SLOT_A && strcmp(choice.image.version, "1.2.2") == 0);
    EXPECT(OK, whittle_state(&updater, &state));
    CHECK(state.phase == WHITTLE_PHASE_IDLE && state.ending == WHITTLE_ENDING_COMMITTED);
    CHECK(state.security_counter == 4);
}

/* Crypto in ROM: believes whatever it is told to. */
static int verdict, asked;
static int verify(void *context, const uint8_t *key_id, const uint8_t *message, size_t len, const uint8_t *signature) {
    asked += context == &verdict && key_id != NULL && message != NULL && len > 0 && signature != NULL;
    return verdict;
}

static void crypto_in_rom(void) {
    struct whittle_config rom = config;
    rom.verify = verify;
    EXPECT(ERROR_BAD_ARGUMENT, whittle_check_slot(&rom, WHITTLE_SLOT_B, NULL)); /* and keys */
    rom.verify_context = &verdict;
    rom.keys = NULL;
    rom.key_count = 0;
    EXPECT(OK, whittle_check_slot(&rom, WHITTLE_SLOT_B, NULL));
    verdict = 1;
    EXPECT(ERROR_UNKNOWN_KEY, whittle_check_slot(&rom, WHITTLE_SLOT_B, NULL));
    verdict = -7;
    EXPECT(ERROR_BAD_SIGNATURE, whittle_check_slot(&rom, WHITTLE_SLOT_B, NULL));
    CHECK(asked == 3);
}

/* Every number has a text of its own, and a culprit. */
static void texts(void) {
    CHECK(strcmp(whittle_error_text(WHITTLE_OK), "done") == 0);
    CHECK(strcmp(whittle_error_text(-1), "unknown result") == 0);
    CHECK(strcmp(whittle_error_text(WHITTLE_ERROR_BUSY), "the handle is in use") == 0);
    CHECK(whittle_culprit_of(WHITTLE_NOTHING) == WHITTLE_CULPRIT_NOBODY);
    CHECK(whittle_culprit_of(WHITTLE_ERROR_STAGING_FULL) == WHITTLE_CULPRIT_CALLER);
    CHECK(whittle_culprit_of(WHITTLE_ERROR_REFUSED) == WHITTLE_CULPRIT_PACKAGE);
    CHECK(whittle_culprit_of(WHITTLE_ERROR_JOURNAL_FLASH) == WHITTLE_CULPRIT_HARDWARE);
}

int main(void) {
    const struct file first = read_file("first.pkg"), update = read_file("update.pkg");
    const struct file in_place = read_file("in-place.pkg");
    const struct file flags_file = read_file("flags.bin"), stage_file = read_file("stage.bin");
    staging = flash(&staging_chip, SLOT);
    config = (struct whittle_config){
        .product = "thermostat",
        .hardware_revision = 1,
        .decoder_ram_bytes = 32 * 1024,
        .keys = &whittle_public_key,
        .key_count = 1,
        .journal = flash(&journal, JOURNAL),
        .slots = {flash(&a, SLOT), flash(&b, SLOT)},
    };
    texts();
    configurations();
    handles();
    EXPECT(OK, whittle_open(&updater, &config));
    arguments();
    wrong_order(&first);
    short_buffers(&first);
    failing_flash();
    packages(&update);
    documents(&flags_file, &stage_file);
    crypto_in_rom();
    single_slot(&first, &in_place);
    printf("%d checks\n", checks);
    return 0;
}
