#ifndef WHITTLE_H
#define WHITTLE_H

/* The device side of whittle for C: signed delta updates of two slots, or of one, that survive power cuts at any
 * time.
 *
 * Made by `cargo xtask header`; change the Rust sources beside it instead.
 *
 * Functions return WHITTLE_OK, WHITTLE_DONE or WHITTLE_NOTHING, or an error of `enum whittle_error`. All memory is the
 * caller's. The rules for all of them:
 *
 * - A pointer that is not null points to as much as is declared. Where null is allowed, the function says so.
 * - What `struct whittle_config` points to stays where it is as long as the updater is used.
 * - Updaters, downloads and flags stay where they were made: a copy is refused.
 * - One thread at a time uses a handle, and no interrupt does meanwhile.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/**
 * It was done.
 */
#define WHITTLE_OK 0

/**
 * It was done, and the package is complete.
 */
#define WHITTLE_DONE 1

/**
 * There is nothing of the kind that was asked for: no download to resume, no document kept, no such flag.
 */
#define WHITTLE_NOTHING 2

/**
 * Bytes of the longest name with the zero behind it.
 */
#define WHITTLE_NAME_BYTES 33

/**
 * Words of `struct whittle_updater`.
 */
#define WHITTLE_UPDATER_WORDS 80

/**
 * Words of `struct whittle_download`.
 */
#define WHITTLE_DOWNLOAD_WORDS 180

/**
 * Bytes of tables for packages that were built for 4 KiB of RAM.
 */
#define WHITTLE_TABLES_4K 4096

/**
 * Bytes of tables for packages that were built for 8 KiB of RAM.
 */
#define WHITTLE_TABLES_8K 8192

/**
 * Bytes of tables for packages that were built for 16 KiB of RAM.
 */
#define WHITTLE_TABLES_16K 16384

/**
 * Bytes of tables for packages that were built for 64 KiB of RAM.
 */
#define WHITTLE_TABLES_64K 65536

/**
 * Bytes that are always enough for `head` in `struct whittle_in_place_buffers`.
 */
#define WHITTLE_HEAD_BYTES 1029

/**
 * Words of `struct whittle_flags`.
 */
#define WHITTLE_FLAGS_WORDS 160

/**
 * Most groups that a device can be in.
 */
#define WHITTLE_MAX_GROUPS 16

/**
 * Who must act on an error.
 */
enum whittle_culprit
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : int32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
  /**
   * Nobody: it is no error.
   */
  WHITTLE_CULPRIT_NOBODY = 0,
  /**
   * Whoever wrote the firmware: a buffer, a region, an argument or the order of calls.
   */
  WHITTLE_CULPRIT_CALLER = 1,
  /**
   * Whoever made or delivered the package or the document: fetch it again, or fetch another one.
   */
  WHITTLE_CULPRIT_PACKAGE = 2,
  /**
   * The flash: try again.
   */
  WHITTLE_CULPRIT_HARDWARE = 3,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum whittle_culprit whittle_culprit;
#else
typedef int32_t whittle_culprit;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

/**
 * A step of an update.
 */
enum whittle_phase
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : uint32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
  /**
   * The committed image runs, nothing is at hand.
   */
  WHITTLE_PHASE_IDLE = 0,
  /**
   * A package is being downloaded.
   */
  WHITTLE_PHASE_DOWNLOADING = 1,
  /**
   * The whole package is there and authentic: whittle_install() is next, or
   * whittle_request_in_place().
   */
  WHITTLE_PHASE_VERIFIED = 2,
  /**
   * The target stands in the other slot: whittle_activate() is next.
   */
  WHITTLE_PHASE_INSTALLED = 3,
  /**
   * The next boot starts the target on trial.
   */
  WHITTLE_PHASE_PENDING = 4,
  /**
   * The target runs on trial: whittle_healthy(), whittle_unhealthy() or whittle_too_late() is next.
   */
  WHITTLE_PHASE_TRIAL = 5,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum whittle_phase whittle_phase;
#else
typedef uint32_t whittle_phase;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

/**
 * How the last update ended.
 */
enum whittle_ending
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : uint32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
  /**
   * There was none, or one is at hand.
   */
  WHITTLE_ENDING_NONE = 0,
  /**
   * The target passed its health checks and was committed.
   */
  WHITTLE_ENDING_COMMITTED = 1,
  /**
   * The target was rolled back: it used up its attempts.
   */
  WHITTLE_ENDING_CRASHED = 2,
  /**
   * The target was rolled back: it was booted too often without a verdict.
   */
  WHITTLE_ENDING_UNDECIDED = 3,
  /**
   * The target was rolled back: a health check failed.
   */
  WHITTLE_ENDING_UNHEALTHY = 4,
  /**
   * The target was rolled back: its health checks did not end in time.
   */
  WHITTLE_ENDING_TOO_LATE = 5,
  /**
   * The target was rolled back: its slot did not hold the signed image any more.
   */
  WHITTLE_ENDING_DAMAGED = 6,
  /**
   * The committed image was damaged, and the other slot's took over.
   */
  WHITTLE_ENDING_RECOVERED = 7,
  /**
   * The download or the installation failed, or was given up.
   */
  WHITTLE_ENDING_ABANDONED = 8,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum whittle_ending whittle_ending;
#else
typedef uint32_t whittle_ending;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

/**
 * A slot.
 */
enum whittle_slot
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : uint32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
  /**
   * The first slot.
   */
  WHITTLE_SLOT_A = 0,
  /**
   * The second slot.
   */
  WHITTLE_SLOT_B = 1,
  /**
   * Neither of them: the boot loader must offer its recovery, such as an image in ROM.
   */
  WHITTLE_SLOT_NONE = 2,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum whittle_slot whittle_slot;
#else
typedef uint32_t whittle_slot;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

/**
 * What decided about a flag.
 */
enum whittle_reason
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : uint32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
  /**
   * The kill switch of the whole document.
   */
  WHITTLE_REASON_DOCUMENT_KILLED = 0,
  /**
   * The kill switch of the flag.
   */
  WHITTLE_REASON_FLAG_KILLED = 1,
  /**
   * A rule of the flag.
   */
  WHITTLE_REASON_RULE = 2,
  /**
   * No rule matched.
   */
  WHITTLE_REASON_DEFAULT = 3,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum whittle_reason whittle_reason;
#else
typedef uint32_t whittle_reason;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

/**
 * Why a function failed. Whatever it is, the image that was running still boots, unless an installation in place has
 * begun to change it.
 */
enum whittle_error
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : int32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
  /**
   * A pointer is null that must not be.
   */
  WHITTLE_ERROR_NULL_ARGUMENT = 100,
  /**
   * An argument is out of range or not aligned, or a string is no name.
   */
  WHITTLE_ERROR_BAD_ARGUMENT = 101,
  /**
   * The handle is not open: it was never opened, was closed, or was copied to where it is.
   */
  WHITTLE_ERROR_NOT_OPEN = 102,
  /**
   * The handle is in use: by a download that was begun with it, or by the call that calls back now.
   */
  WHITTLE_ERROR_BUSY = 103,
  /**
   * A function of `struct whittle_flash` is missing, or its sizes do not suit this build of the library.
   */
  WHITTLE_ERROR_FLASH_GEOMETRY = 104,
  /**
   * The buffer is shorter than what is to be put into it, than a block, or no multiple of the write size.
   */
  WHITTLE_ERROR_BUFFER_TOO_SMALL = 105,
  /**
   * The bytes are more than the application may keep.
   */
  WHITTLE_ERROR_TOO_LONG = 106,
  /**
   * The step does not fit the phase in which the update is.
   */
  WHITTLE_ERROR_OUT_OF_TURN = 107,
  /**
   * The journal has no room: its region is too small for what an update needs, or what is to be kept is too long for it.
   */
  WHITTLE_ERROR_JOURNAL_FULL = 108,
  /**
   * The staging region has no room for the package, with what power cuts have left in it.
   */
  WHITTLE_ERROR_STAGING_FULL = 109,
  /**
   * Half of the region for the decoder's state is smaller than the state.
   */
  WHITTLE_ERROR_STATES_FULL = 110,
  /**
   * Another slot runs than the journal means by now, or nobody has told which one does: the boot loader could not read the
   * journal, or write to it. Another start may find it well.
   */
  WHITTLE_ERROR_ANOTHER_SLOT_RUNS = 111,
  /**
   * The journal holds a record that this firmware is too old to read; update it, or start what
   * whittle_any_signed_slot() finds.
   */
  WHITTLE_ERROR_JOURNAL_RECORD = 112,
  /**
   * The bytes are not a signed envelope.
   */
  WHITTLE_ERROR_ENVELOPE = 200,
  /**
   * No trusted key has the id that the envelope names.
   */
  WHITTLE_ERROR_UNKNOWN_KEY = 201,
  /**
   * The signature does not match.
   */
  WHITTLE_ERROR_BAD_SIGNATURE = 202,
  /**
   * What is signed is nothing that this version reads.
   */
  WHITTLE_ERROR_FORMAT = 203,
  /**
   * It is for another product.
   */
  WHITTLE_ERROR_WRONG_PRODUCT = 204,
  /**
   * It is for other hardware revisions.
   */
  WHITTLE_ERROR_WRONG_HARDWARE = 205,
  /**
   * Its security counter is below the device's.
   */
  WHITTLE_ERROR_COUNTER_TOO_LOW = 206,
  /**
   * The image does not fit the slot.
   */
  WHITTLE_ERROR_TARGET_TOO_LARGE = 207,
  /**
   * Decoding takes more memory than the device has for it.
   */
  WHITTLE_ERROR_DECODER_RAM = 208,
  /**
   * This build has no decoder for it.
   */
  WHITTLE_ERROR_UNSUPPORTED_CODEC = 209,
  /**
   * The delta was made from another image than the one that runs.
   */
  WHITTLE_ERROR_BASE_MISMATCH = 210,
  /**
   * A block is not the one that was signed.
   */
  WHITTLE_ERROR_BLOCK_MISMATCH = 211,
  /**
   * The payload is authentic and cannot be decoded: the package was built wrongly.
   */
  WHITTLE_ERROR_PAYLOAD = 212,
  /**
   * The finished image is not the one that was signed: the package was built wrongly, or a slot was changed.
   */
  WHITTLE_ERROR_IMAGE_MISMATCH = 213,
  /**
   * Bytes are missing.
   */
  WHITTLE_ERROR_TRUNCATED = 214,
  /**
   * Bytes follow where there should be none.
   */
  WHITTLE_ERROR_TRAILING_BYTES = 215,
  /**
   * This target was rolled back before.
   */
  WHITTLE_ERROR_REJECTED = 216,
  /**
   * Deltas to this target failed twice: fetch its full image.
   */
  WHITTLE_ERROR_FULL_IMAGE_WANTED = 217,
  /**
   * The flags are older than those that are kept.
   */
  WHITTLE_ERROR_VERSION_TOO_LOW = 218,
  /**
   * The stage comes before the one that is kept.
   */
  WHITTLE_ERROR_STAGE_TOO_LOW = 219,
  /**
   * The stage has a smaller share than the one that is kept.
   */
  WHITTLE_ERROR_SHARE_TOO_LOW = 220,
  /**
   * The stage has another target than the one of the same rollout that is kept.
   */
  WHITTLE_ERROR_TARGET_CHANGED = 221,
  /**
   * It was refused for a reason that this header does not know yet.
   */
  WHITTLE_ERROR_REFUSED = 299,
  /**
   * The journal cannot be read, erased or written.
   */
  WHITTLE_ERROR_JOURNAL_FLASH = 300,
  /**
   * The journal reads back differently from what was written.
   */
  WHITTLE_ERROR_JOURNAL_READ_BACK = 301,
  /**
   * The staging region cannot be read, erased or written.
   */
  WHITTLE_ERROR_STAGING_FLASH = 303,
  /**
   * The staging region reads back differently from what was written.
   */
  WHITTLE_ERROR_STAGING_READ_BACK = 304,
  /**
   * The slot that runs cannot be read.
   */
  WHITTLE_ERROR_BASE_FLASH = 305,
  /**
   * The slot that is written, or that was asked for, cannot be read, erased or written.
   */
  WHITTLE_ERROR_TARGET_FLASH = 306,
  /**
   * The other slot reads back differently from what was written.
   */
  WHITTLE_ERROR_TARGET_READ_BACK = 307,
  /**
   * What the decoder knows cannot be kept, or is not what was kept.
   */
  WHITTLE_ERROR_STATES_FLASH = 308,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum whittle_error whittle_error;
#else
typedef int32_t whittle_error;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

/**
 * Why the processor started.
 */
enum whittle_reset_cause
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : uint32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
  /**
   * The power came; the only one that does not count as an attempt.
   */
  WHITTLE_RESET_CAUSE_POWER_ON = 0,
  /**
   * The voltage fell too low.
   */
  WHITTLE_RESET_CAUSE_BROWN_OUT = 1,
  /**
   * The watchdog was not fed.
   */
  WHITTLE_RESET_CAUSE_WATCHDOG = 2,
  /**
   * Software asked for it.
   */
  WHITTLE_RESET_CAUSE_SOFTWARE = 3,
  /**
   * The chip does not tell.
   */
  WHITTLE_RESET_CAUSE_UNKNOWN = 4,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum whittle_reset_cause whittle_reset_cause;
#else
typedef uint32_t whittle_reset_cause;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

/**
 * An updater; every byte of it belongs to the library. It must stay where it was opened.
 */
struct whittle_updater {
  /**
   * Whatever the library puts there.
   */
  uint64_t storage[WHITTLE_UPDATER_WORDS];
};

/**
 * Where the device stands.
 */
struct whittle_state {
  /**
   * The step.
   */
  whittle_phase phase;
  /**
   * How the last update ended.
   */
  whittle_ending ending;
  /**
   * The slot whose image was committed last.
   */
  whittle_slot committed;
  /**
   * The slot that boots as things stand.
   */
  whittle_slot boots_from;
  /**
   * Images below this security counter do not boot.
   */
  uint32_t security_counter;
  /**
   * Features of the running image that are switched off, one bit each.
   */
  uint32_t disabled;
  /**
   * First bytes of the SHA-256 of the target at hand; zeros if there is none.
   */
  uint8_t target[16];
  /**
   * The same of the target that was rolled back last.
   */
  uint8_t rejected[16];
  /**
   * How often the target on trial has been booted.
   */
  uint8_t boots;
  /**
   * How many of these boots count as attempts.
   */
  uint8_t attempts;
  /**
   * How often a delta to the target at hand has failed.
   */
  uint8_t delta_failures;
};

/**
 * Checks an Ed25519 signature (64 bytes) over a message by the key with this id (8 bytes: the first of the SHA-256 of
 * the public key).
 *
 * Returns 0 if it is good, 1 if no trusted key has the id, anything else if it is bad. It must refuse keys of small
 * order and encodings that are not canonical.
 */
typedef int (*whittle_verify)(void *context,
                              const uint8_t *key_id,
                              const uint8_t *message,
                              size_t message_len,
                              const uint8_t *signature);

/**
 * A region of flash: what it looks like, and the functions that drive it. Offsets begin at 0 in each region.
 *
 * The functions return 0 if all went well. They are called from within the functions of this header, with `context`
 * as it is here, and must not call them for the same handle. `into` and `bytes` may lie at any address: copy them, if your
 * flash wants aligned words.
 */
struct whittle_flash {
  /**
   * Anything; handed to the functions.
   */
  void *context;
  /**
   * Bytes of the region: a multiple of whittle_erase_unit().
   */
  uint32_t size;
  /**
   * Bytes that are erased at a time; they divide whittle_erase_unit().
   */
  uint32_t erase_size;
  /**
   * Bytes that are written at a time; they divide whittle_write_unit().
   */
  uint32_t write_size;
  /**
   * Reads `len` bytes; any offset and length.
   */
  int (*read)(void *context, uint32_t offset, uint8_t *into, uint32_t len);
  /**
   * Erases `len` bytes to ones; offset and length are multiples of whittle_erase_unit().
   */
  int (*erase)(void *context, uint32_t offset, uint32_t len);
  /**
   * Writes `len` bytes that are erased; offset and length are multiples of whittle_write_unit().
   */
  int (*write)(void *context, uint32_t offset, const uint8_t *bytes, uint32_t len);
};

/**
 * What the device is, whom it trusts and where its flash is. What it points to must stay as long as the updater is
 * used; the structure itself may go.
 */
struct whittle_config {
  /**
   * Name of the product.
   */
  const char *product;
  /**
   * RAM that a decoder may use, in bytes; as the packages were built for.
   */
  uint32_t decoder_ram_bytes;
  /**
   * Lowest security counter that may ever run, such as one in fuses; the journal's may be higher.
   */
  uint32_t security_counter;
  /**
   * Hardware revision.
   */
  uint16_t hardware_revision;
  /**
   * How often a new image is attempted before it is rolled back; 0 stands for 3.
   */
  uint8_t attempts;
  /**
   * Ed25519 keys that are trusted; `whittle pubkey --to c` prints one.
   */
  const uint8_t (*keys)[32];
  /**
   * How many they are; 0 if `verify` is there.
   */
  size_t key_count;
  /**
   * Checks signatures instead of the library, such as by a routine in ROM; null if the library shall.
   */
  whittle_verify verify;
  /**
   * Anything; handed to `verify`.
   */
  void *verify_context;
  /**
   * Where the journal is kept: two erase units or more, half of them in turn.
   */
  struct whittle_flash journal;
  /**
   * The two slots that images run from; a device with a single one names it twice, and opens it by
   * whittle_open_single().
   */
  struct whittle_flash slots[2];
};

/**
 * An image that a trusted key signed.
 */
struct whittle_signed_image {
  /**
   * SHA-256 of the image.
   */
  uint8_t digest[32];
  /**
   * Size of the image in bytes.
   */
  uint32_t size;
  /**
   * Security counter of the image.
   */
  uint32_t security_counter;
  /**
   * Bytes of the package's blocks: what the block buffer must hold, or the whole payload if that is smaller.
   */
  uint32_t block_bytes;
  /**
   * Name of the product.
   */
  char product[WHITTLE_NAME_BYTES];
  /**
   * Version, for people.
   */
  char version[WHITTLE_NAME_BYTES];
  /**
   * 1 if it came, or comes, as a delta, 0 if whole.
   */
  uint8_t is_delta;
};

/**
 * What the boot loader must start.
 */
struct whittle_boot_choice {
  /**
   * Where it is; `WHITTLE_SLOT_NONE` if no slot holds an image that may boot.
   */
  whittle_slot slot;
  /**
   * What it is; nothing of use for `WHITTLE_SLOT_NONE`.
   */
  struct whittle_signed_image image;
};

/**
 * A download; every byte of it belongs to the library. It must stay where it was begun.
 */
struct whittle_download {
  /**
   * Whatever the library puts there.
   */
  uint64_t storage[WHITTLE_DOWNLOAD_WORDS];
};

/**
 * Memory for an installation. It may hold anything, and is the caller's again when the installation returns.
 */
struct whittle_install_buffers {
  /**
   * Holds a block as the packages are built with (4096 bytes by default).
   */
  uint8_t *block;
  /**
   * Bytes of it.
   */
  size_t block_len;
  /**
   * Holds what is written at a time: a multiple of whittle_write_unit(), best a flash page.
   */
  uint8_t *page;
  /**
   * Bytes of it.
   */
  size_t page_len;
  /**
   * Holds what the decoder of deltas remembers; aligned to 8 bytes. Null: only `stored` packages can be installed.
   */
  uint64_t *tables;
  /**
   * Bytes of it, such as `WHITTLE_TABLES_16K`.
   */
  size_t tables_len;
};

/**
 * Is called before each sector is erased, with the bytes of the target that are written: to feed a watchdog, and to
 * show progress. It must not call functions of this header for the same handle.
 */
typedef void (*whittle_watch)(void *context, uint32_t written);

/**
 * Memory for an installation in place. It may hold anything, and is the caller's again when the installation returns.
 */
struct whittle_in_place_buffers {
  /**
   * As for whittle_install(); whittle_erase_unit() is a multiple of the page.
   */
  struct whittle_install_buffers install;
  /**
   * Holds where each sector of the base lies: one number for each sector of the largest base.
   */
  uint16_t *seats;
  /**
   * How many they are.
   */
  size_t seat_count;
  /**
   * Holds how the base is rearranged, as the package tells it: `WHITTLE_HEAD_BYTES`.
   */
  uint8_t *head;
  /**
   * Bytes of it.
   */
  size_t head_len;
};

/**
 * A flags document whose signature has been checked; every byte of it belongs to the library. It must stay where it
 * was read.
 */
struct whittle_flags {
  /**
   * Whatever the library puts there.
   */
  uint64_t storage[WHITTLE_FLAGS_WORDS];
};

/**
 * What rules ask about a device.
 */
struct whittle_facts {
  /**
   * Its id, byte for byte as rules name it: a serial number, a MAC address.
   */
  const uint8_t *id;
  /**
   * Bytes of it.
   */
  size_t id_len;
  /**
   * Names of the groups that it is in; null if there are none.
   */
  const char *const *groups;
  /**
   * How many they are.
   */
  size_t group_count;
  /**
   * The region that it is in; null if there is none.
   */
  const char *region;
};

/**
 * The value of a flag on a device, and why.
 */
struct whittle_decision {
  /**
   * What decided.
   */
  whittle_reason reason;
  /**
   * Number of the rule, from 0, if one decided.
   */
  uint32_t rule;
  /**
   * Whether the feature is on.
   */
  bool is_on;
};

/**
 * A stage of a rollout that a trusted key signed.
 */
struct whittle_stage {
  /**
   * Number within the rollout; it never falls.
   */
  uint32_t number;
  /**
   * Share of the fleet that the target goes to, in parts per million.
   */
  uint32_t share_ppm;
  /**
   * First bytes of the SHA-256 of the target.
   */
  uint8_t target[16];
  /**
   * Names the rollout.
   */
  uint8_t seed[16];
  /**
   * Version of the target, for people.
   */
  char version[WHITTLE_NAME_BYTES];
};

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

/**
 * Tells who must act on what a function returned.
 */
whittle_culprit whittle_culprit_of(int32_t result);

/**
 * Says in English what a function returned; never null.
 */
const char *whittle_error_text(int32_t result);

/**
 * Bytes that this build of the library writes at a time; write sizes of flash must divide them.
 */
uint32_t whittle_write_unit(void);

/**
 * Bytes that this build of the library erases at a time; erase sizes of flash must divide them.
 */
uint32_t whittle_erase_unit(void);

/**
 * Tells where the device stands.
 */
int32_t whittle_state(struct whittle_updater *updater, struct whittle_state *state);

/**
 * Opens the journal, or begins one.
 *
 * A device whose journal is empty or lost believes what its slots hold: the image with the higher security counter
 * counts as committed. `updater` may hold anything; an updater that was open there is closed.
 *
 * If the journal cannot be opened, a boot loader starts what whittle_any_signed_slot() finds.
 */
int32_t whittle_open(struct whittle_updater *updater,
                     const struct whittle_config *config);

/**
 * The same for a device with a single slot, the first of `slots`: packages are installed by whittle_install_in_place().
 */
int32_t whittle_open_single(struct whittle_updater *updater,
                            const struct whittle_config *config);

/**
 * Tells the library which slot the program runs from, `WHITTLE_SLOT_A` or `WHITTLE_SLOT_B`: an application with two slots
 * does so as soon as it has opened its updater, and commits nothing otherwise.
 *
 * Where the journal cannot be read, or written, the boot loader may start another image than the journal means by now.
 * What that says of itself would be taken for the other one's, and what it downloads and installs would take its own
 * place: all of that is `WHITTLE_ERROR_ANOTHER_SLOT_RUNS` then, until the boot loader has started the one that is meant.
 */
int32_t whittle_set_running_slot(struct whittle_updater *updater,
                                 uint32_t slot);

/**
 * Tells which slot to start: called once by the boot loader. `cause` is one of `enum whittle_reset_cause`.
 *
 * The boot is counted in the journal before anything is looked at; where it cannot be counted, the committed image starts.
 * Only a slot that holds a signed image, whole, is ever told. If this fails, a boot loader starts what
 * whittle_any_signed_slot() finds.
 */
int32_t whittle_boot(struct whittle_updater *updater,
                     uint32_t cause,
                     struct whittle_boot_choice *choice);

/**
 * Finds the slot with the higher security counter among those that hold a signed image, whole.
 *
 * It looks at nothing but the slots: for boot loaders that cannot open the journal. `WHITTLE_NOTHING` if there is none.
 */
int32_t whittle_any_signed_slot(const struct whittle_config *config,
                                struct whittle_boot_choice *choice);

/**
 * Checks that a slot, `WHITTLE_SLOT_A` or `WHITTLE_SLOT_B`, holds a signed image for this device, whole and unchanged.
 *
 * `image` may be null.
 */
int32_t whittle_check_slot(const struct whittle_config *config,
                           uint32_t slot,
                           struct whittle_signed_image *image);

/**
 * Starts what is installed at the next boot, on trial.
 */
int32_t whittle_activate(struct whittle_updater *updater);

/**
 * All health checks passed: the image on trial is committed, and the security counter rises to its own.
 */
int32_t whittle_healthy(struct whittle_updater *updater);

/**
 * A health check failed: the next boot starts the committed image.
 */
int32_t whittle_unhealthy(struct whittle_updater *updater);

/**
 * The health checks did not end in time: the next boot starts the committed image.
 */
int32_t whittle_too_late(struct whittle_updater *updater);

/**
 * Gives up the package that is being downloaded, or that could not be installed; if it is a delta, that counts as one of its
 * failures. Where an installation in place has begun, nothing boots then but a recovery.
 */
int32_t whittle_abandon(struct whittle_updater *updater);

/**
 * Switches features of the running image off, one bit each, because they were found to fail.
 */
int32_t whittle_disable(struct whittle_updater *updater, uint32_t features);

/**
 * Switches them on again.
 */
int32_t whittle_enable(struct whittle_updater *updater, uint32_t features);

/**
 * Keeps something of the application's in the journal, at most 1024 bytes, in place of what it kept before; with a `len` of 0
 * it keeps nothing any more.
 */
int32_t whittle_keep(struct whittle_updater *updater,
                     const uint8_t *bytes,
                     size_t len);

/**
 * Reads what the application keeps, and puts its length into `len`; `WHITTLE_NOTHING` if it never kept anything.
 *
 * `into` has room for `size` bytes.
 */
int32_t whittle_kept(struct whittle_updater *updater,
                     uint8_t *into,
                     size_t size,
                     size_t *len);

/**
 * Begins the download of a package at its first byte; what was staged before is given up.
 *
 * `download` may hold anything. From here on the updater is in use, until the download is finished or closed. `block`
 * holds a block as the packages are built with (4096 bytes by default), and belongs to the download as long as it lasts.
 */
int32_t whittle_download_begin(struct whittle_download *download,
                               struct whittle_updater *updater,
                               const struct whittle_flash *staging,
                               uint8_t *block,
                               size_t block_len);

/**
 * Goes on with the download that was interrupted; `WHITTLE_NOTHING` if there is none to go on with.
 *
 * whittle_download_offset() tells where in the package file, and whittle_download_image() of which target. The rest is
 * as with whittle_download_begin().
 */
int32_t whittle_download_resume(struct whittle_download *download,
                                struct whittle_updater *updater,
                                const struct whittle_flash *staging,
                                uint8_t *block,
                                size_t block_len);

/**
 * Takes bytes of the package: as many as there are, unless the package ends among them. `WHITTLE_DONE` when it is
 * complete.
 *
 * `taken` is told how many; it may be null. Nothing is written before the signature, the fitness for this device and
 * the hash of the image that runs have been checked, and the room for the package. After an error the download is closed; what
 * is staged stays, so that whittle_download_resume() goes on behind it. If the culprit is the package, and the phase still
 * `WHITTLE_PHASE_DOWNLOADING`, call whittle_abandon() first: what came is not what was begun.
 */
int32_t whittle_download_push(struct whittle_download *download,
                              const uint8_t *bytes,
                              size_t len,
                              size_t *taken);

/**
 * Tells where in the package file bytes are wanted from; asked before any have been pushed.
 */
int32_t whittle_download_offset(struct whittle_download *download, uint32_t *offset);

/**
 * Tells what is being downloaded; `WHITTLE_NOTHING` until its first bytes have come.
 */
int32_t whittle_download_image(struct whittle_download *download,
                               struct whittle_signed_image *image);

/**
 * Ends the download and closes it, whatever it returns: the package is whole, and can be installed.
 *
 * Where the connection broke, call whittle_download_close() instead: what is missing is no fault of the package.
 */
int32_t whittle_download_finish(struct whittle_download *download);

/**
 * Closes the download before its end; what is staged stays, so that whittle_download_resume() goes on behind it.
 */
int32_t whittle_download_close(struct whittle_download *download);

/**
 * Installs the staged package into the other slot; after a power cut it goes on with the sector that was at hand.
 *
 * `watch` and `image` may be null. If the culprit of an error is the package, the update has failed, and another
 * download is wanted; otherwise it can be tried again. The running image is untouched.
 */
int32_t whittle_install(struct whittle_updater *updater,
                        const struct whittle_flash *staging,
                        const struct whittle_install_buffers *buffers,
                        whittle_watch watch,
                        void *watch_context,
                        struct whittle_signed_image *image);

/**
 * Asks the boot loader to install what is staged in the place of the running image.
 */
int32_t whittle_request_in_place(struct whittle_updater *updater);

/**
 * Tells whether an installation in place is wanted, or under way; `WHITTLE_NOTHING` if none is.
 *
 * The boot loader then calls whittle_install_in_place() before whittle_boot().
 */
int32_t whittle_is_in_place_wanted(struct whittle_updater *updater);

/**
 * Installs the staged package in the place of the running image, or goes on with it after a power cut.
 *
 * `states` is a region that keeps what the decoder knows, twice: each half of it is whole erase units, and at least as
 * large as the tables that the packages were built for, such as `WHITTLE_TABLES_16K`. `watch` is also called for each
 * block that is read; it and `image` may be null.
 *
 * Before the first change everything is checked: if the culprit of an error is the package, whittle_is_in_place_wanted()
 * then says `WHITTLE_NOTHING`, and the old image boots. From the first change on no image boots until the installation is
 * done, and calling this again goes on with it.
 */
int32_t whittle_install_in_place(struct whittle_updater *updater,
                                 const struct whittle_flash *staging,
                                 const struct whittle_flash *states,
                                 const struct whittle_in_place_buffers *buffers,
                                 whittle_watch watch,
                                 void *watch_context,
                                 struct whittle_signed_image *image);

/**
 * Checks a flags document and keeps it; its version is never below that of the one that is kept.
 */
int32_t whittle_accept_flags(struct whittle_updater *updater, const uint8_t *bytes, size_t len);

/**
 * Reads the flags document that is kept and checks its signature, once for all questions; `WHITTLE_NOTHING` if none is
 * kept. `flags` may hold anything.
 */
int32_t whittle_read_flags(struct whittle_updater *updater,
                           struct whittle_flags *flags);

/**
 * Tells whether a feature is on, on a device with these facts.
 *
 * `WHITTLE_NOTHING` if the document says nothing of it, so that the firmware's own default holds.
 */
int32_t whittle_flag(struct whittle_flags *flags,
                     const char *name,
                     const struct whittle_facts *facts,
                     struct whittle_decision *decision);

/**
 * Checks a stage of a rollout and keeps it; it never falls behind the one that is kept. `stage` may be null.
 */
int32_t whittle_accept_stage(struct whittle_updater *updater,
                             const uint8_t *bytes,
                             size_t len,
                             struct whittle_stage *stage);

/**
 * Tells the stage that is kept; `WHITTLE_NOTHING` if there is none.
 */
int32_t whittle_kept_stage(struct whittle_updater *updater, struct whittle_stage *stage);

/**
 * Tells whether a device with these facts may take a target now: the stage that is kept has reached it, and the gate of the
 * rollout, a flag among `flags`, is open for it. `WHITTLE_NOTHING` if no stage is kept.
 *
 * Devices of a rollout that `whittle rollout drive` publishes decide by this: pauses, stops and groups that are taken back
 * close the gate, since a stage only ever grows. `flags` is what whittle_read_flags() read, null if it told
 * `WHITTLE_NOTHING`: the gate is closed then. `image` is what whittle_download_image() told: a stage for another target
 * lets nobody in. It may be null, for asking before anything is downloaded.
 */
int32_t whittle_admits(struct whittle_updater *updater,
                       struct whittle_flags *flags,
                       const struct whittle_facts *facts,
                       const struct whittle_signed_image *image,
                       bool *is_admitted);

/**
 * Tells whether the share of the stage that is kept includes the device with this id; `WHITTLE_NOTHING` if none is kept.
 *
 * Of a rollout that `whittle rollout drive` publishes it is half the answer: ask whittle_admits(). `image` is as there.
 */
int32_t whittle_eligible(struct whittle_updater *updater,
                         const uint8_t *id,
                         size_t id_len,
                         const struct whittle_signed_image *image,
                         bool *is_eligible);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

/* What the firmware must define if the library was built with the feature `panic-handler`: called when the library finds
 * a mistake of its own; should reset the chip. If it returns, the library loops for ever. */
#ifdef __cplusplus
extern "C"
#endif
void whittle_on_panic(void);

#endif /* WHITTLE_H */
