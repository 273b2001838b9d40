/* A stand-in for the NVIDIA driver's library: a GPU as the persona named in NVML_PERSONA has it, or NVML_CARDS of them.
 *
 * Functions, structures and return codes are those of nvml.h; only what the program asks for is here. NVML_PROCESSES
 * may name a text file with a line "PID BYTES" or "PID BYTES CARD" for each process that computes on a GPU (PID 0: the
 * one that asks; CARD: 0 unless given); it is read at each call, and its bytes count as in use. Symbols that a driver lacks are left out when this is
 * compiled: WITHOUT_V3, WITHOUT_V2 (of the lists of processes), WITHOUT_510 (what came with that driver and later);
 * WIDE_V3 has the longer rows of drivers 535.43 to 535.86. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef unsigned int u32;
typedef unsigned long long u64;
typedef void *Device;
enum { OK = 0, INVALID = 2, NOT_SUPPORTED = 3, NO_PERMISSION = 4, NOT_FOUND = 6, TOO_SMALL = 7, NO_DRIVER = 9,
       LOST = 15, MISMATCH = 18 };
#define MIB (1ULL << 20)
#define GIB (1ULL << 30)
#define UUID "11111111-2222-3333-4444-555555555555" /* of the first card; that of card N has 1 + N as its 8th digit */
#define PCI "00000000:65:00.0" /* of the first card; the bus of card N is 0x65 + N */
#define MOST_CARDS 8
#define NOT_TOLD (~0ULL)

/* What a persona can't do. */
enum { APPLICATION_CLOCKS = 1, MEMORY = 2, PROCESSES = 4, PROCESS_MEMORY = 8, POWER_LIMITS = 16, SENSORS = 32,
       ECC = 64, UTILISATION = 128, PERSISTENCE = 256 };

typedef struct {
    const char *name, *model, *driver;
    u64 total, reserved, in_use, other_bytes; /* other_bytes: of another process that computes */
    u32 lacks, max_clock, clock, reasons, power_w, limit_w, default_w, busy, graphics, major, minor, mig, display;
    int init, refuses, answers; /* return codes: of nvmlInit, of lists of processes, of everything */
} Persona;

#define H100 "NVIDIA H100 80GB HBM3", "580.95.05", 80 * GIB, 600 * MIB
#define DATA_CENTRE 1980, 1980, 0x1, 70, 700, 700
#define HOME (APPLICATION_CLOCKS | ECC)

static const Persona personas[] = {
    {"h100", H100, 0, 0, 0, DATA_CENTRE, 0, 0, 9, 0, 0, 0, OK, OK, OK},
    {"laptop", "NVIDIA GeForce RTX 3070 Laptop GPU", "580.95.05", 8 * GIB, 200 * MIB, 0, 0, HOME | POWER_LIMITS,
     2100, 1400, 0x4, 79, 80, 0, 0, 0, 8, 6, 0, 0, OK, OK, OK},
    {"wsl", "NVIDIA GeForce RTX 3090", "580.95.05", 24 * GIB, 300 * MIB, 1 * GIB, 0, HOME | PROCESSES | PERSISTENCE,
     2100, 1800, 0x1, 40, 350, 350, 4, 0, 8, 6, 0, 1, OK, OK, OK},
    {"wddm", "NVIDIA GeForce RTX 3090", "580.97", 24 * GIB, 300 * MIB, 1 * GIB, 0, HOME | PROCESS_MEMORY | PERSISTENCE,
     2100, 1800, 0x1, 40, 350, 350, 4, 1, 8, 6, 0, 1, OK, OK, OK},
    {"jetson", "Orin (nvgpu)", "540.4.0", 0, 0, 0, 0,
     HOME | MEMORY | PROCESSES | POWER_LIMITS | SENSORS | UTILISATION | PERSISTENCE,
     1300, 0, 0, 0, 0, 0, 0, 0, 8, 7, 0, 0, OK, OK, OK},
    {"mig", H100, 70 * GIB, 0, 0, DATA_CENTRE, 0, 0, 9, 0, 1, 0, OK, OK, OK},
    {"desktop", "NVIDIA GeForce RTX 3070", "580.95.05", 8 * GIB, 200 * MIB, 900 * MIB, 0, HOME,
     2115, 210, 0x1, 20, 220, 220, 3, 2, 8, 6, 0, 1, OK, OK, OK},
    {"busy", H100, 0, 30 * GIB, 0, DATA_CENTRE, 97, 0, 9, 0, 0, 0, OK, OK, OK},
    {"no_permission", H100, 0, 0, 0, DATA_CENTRE, 0, 0, 9, 0, 0, 0, OK, NO_PERMISSION, OK},
    {"no_driver", H100, 0, 0, 0, DATA_CENTRE, 0, 0, 9, 0, 0, 0, NO_DRIVER, OK, OK},
    {"mismatch", H100, 0, 0, 0, DATA_CENTRE, 0, 0, 9, 0, 0, 0, MISMATCH, OK, OK},
    {"gpu_lost", H100, 0, 0, 0, DATA_CENTRE, 0, 0, 9, 0, 0, 0, OK, OK, LOST},
    {"old_driver", "Tesla V100-SXM2-32GB", "470.256.02", 32 * GIB, 0, 0, 0, 0,
     1530, 1290, 0x1, 40, 300, 300, 0, 0, 7, 0, 0, 0, OK, OK, OK},
    {"garbled", H100, 0, 0, 0, DATA_CENTRE, 0, 0, 9, 0, 0, 0, OK, OK, OK},
};

static const Persona *me(void) {
    const char *wanted = getenv("NVML_PERSONA");
    for (size_t i = 0; wanted && i < sizeof personas / sizeof *personas; i++)
        if (!strcmp(personas[i].name, wanted)) return &personas[i];
    return &personas[0];
}

/* The handles: the cards, and (with MIG) the slice of an eighth of the first. */
static char cards[MOST_CARDS], slice;
static u32 card_count(void) {
    const char *count = getenv("NVML_CARDS");
    return count ? (u32)atoi(count) : 1;
}
static u32 number(Device device) { return device == &slice ? 0 : (u32)((char *)device - cards); }
static int lacks(Device device, u32 what) {
    if (me()->answers) return me()->answers;
    if (device == &slice && (what & (SENSORS | POWER_LIMITS | APPLICATION_CLOCKS | ECC | UTILISATION))) return INVALID;
    return me()->lacks & what ? NOT_SUPPORTED : OK;
}
#define NEED(what) do { int code = lacks(device, what); if (code) return code; } while (0)
#define PUT(target, value) (*(target) = (value), OK)
#define ONE(function, what, value) int function(Device device, u32 *out) { NEED(what); return PUT(out, value); }
#define TWO(function, what, first, second) \
    int function(Device device, u32 *one, u32 *two) { NEED(what); *one = first; return PUT(two, second); }

/* Processes that compute: another one, where the persona has it, and those of the file. */
typedef struct { u32 pid; u64 bytes; } Process;
static u32 computing(Device device, Process *rows, u32 most) {
    u32 count = 0;
    if (me()->other_bytes) rows[count++] = (Process){4321, me()->other_bytes};
    const char *path = getenv("NVML_PROCESSES");
    FILE *file = path ? fopen(path, "r") : NULL;
    char line[80];
    while (file && count < most && fgets(line, sizeof line, file)) {
        u32 on = 0;
        if (sscanf(line, "%u %llu %u", &rows[count].pid, &rows[count].bytes, &on) < 2 || on != number(device)) continue;
        if (!rows[count].pid) rows[count].pid = (u32)getpid();
        count++;
    }
    if (file) fclose(file);
    return count;
}
static u32 drawing(Process *rows) {
    for (u32 i = 0; i < me()->graphics; i++) rows[i] = (Process){900 + i, 300 * MIB};
    return me()->graphics;
}
static int list(Device device, u32 *count, char *out, size_t row_bytes, int graphics) {
    NEED(PROCESSES);
    if (me()->refuses) return me()->refuses;
    Process rows[32];
    u32 found = graphics ? drawing(rows) : computing(device, rows, 32), room = *count;
    *count = found;
    if (!found) return OK;
    if (!out || room < found) return TOO_SMALL;
    for (u32 i = 0; i < found; i++) {
        char *row = out + i * row_bytes;
        memset(row, 0xff, row_bytes); /* no instance of a MIG */
        memcpy(row, &rows[i].pid, sizeof(u32));
        memcpy(row + 8, &(u64){me()->lacks & PROCESS_MEMORY ? NOT_TOLD : rows[i].bytes}, sizeof(u64));
    }
    return OK;
}
#define LISTS(suffix, row_bytes) \
    int nvmlDeviceGetComputeRunningProcesses##suffix(Device d, u32 *n, void *p) { return list(d, n, p, row_bytes, 0); } \
    int nvmlDeviceGetGraphicsRunningProcesses##suffix(Device d, u32 *n, void *p) { return list(d, n, p, row_bytes, 1); }
LISTS(, 16)
#ifndef WITHOUT_V2
LISTS(_v2, 24)
#endif
#ifndef WITHOUT_V3
#ifdef WIDE_V3
LISTS(_v3, 32)
#else
LISTS(_v3, 24)
#endif
#endif
#ifdef WIDE_V3
int nvmlDeviceGetConfComputeMemSizeInfo(Device device, void *out) { (void)device, (void)out; return NOT_SUPPORTED; }
#endif

/* Library and system */
int nvmlInitWithFlags(u32 flags) { (void)flags; return me()->init; }
int nvmlInit_v2(void) { return me()->init; }
int nvmlShutdown(void) { return OK; }
const char *nvmlErrorString(int code) {
    switch (code) {
        case OK: return "Success";
        case INVALID: return "Invalid Argument";
        case NOT_SUPPORTED: return "Not Supported";
        case NO_PERMISSION: return "Insufficient Permissions";
        case NOT_FOUND: return "Not Found";
        case NO_DRIVER: return "Driver Not Loaded";
        case LOST: return "GPU is lost";
        case MISMATCH: return "Driver/library version mismatch";
    }
    return "Unknown Error";
}
int nvmlSystemGetDriverVersion(char *out, u32 length) {
    snprintf(out, length, "%s", strcmp(me()->name, "garbled") ? me()->driver : "580.\xff\xfe");
    return OK;
}
int nvmlSystemGetCudaDriverVersion_v2(int *out) { return PUT(out, strcmp(me()->name, "old_driver") ? 13000 : 11040); }
int nvmlDeviceGetCount_v2(u32 *out) { return PUT(out, card_count()); }

/* Handles */
int nvmlDeviceGetHandleByIndex_v2(u32 index, Device *out) {
    return index < card_count() ? PUT(out, (Device)&cards[index]) : INVALID;
}
int nvmlDeviceGetHandleByPciBusId_v2(const char *id, Device *out) {
    char known[sizeof PCI];
    for (u32 i = 0; i < card_count(); i++) {
        snprintf(known, sizeof known, "00000000:%02X:00.0", 0x65 + i);
        if (!strcmp(id, known)) return PUT(out, (Device)&cards[i]);
    }
    return NOT_FOUND;
}
int nvmlDeviceGetHandleByUUID(const char *uuid, Device *out) {
    if (me()->mig) return strcmp(uuid, "MIG-" UUID) ? NOT_FOUND : PUT(out, (Device)&slice);
    char known[sizeof "GPU-" UUID] = "GPU-" UUID;
    for (u32 i = 0; i < card_count(); i++) {
        known[11] = (char)('1' + i);
        if (!strcmp(uuid, known)) return PUT(out, (Device)&cards[i]);
    }
    return NOT_FOUND;
}
int nvmlDeviceGetDeviceHandleFromMigDeviceHandle(Device device, Device *out) {
    return device == &slice ? PUT(out, (Device)&cards[0]) : INVALID;
}
int nvmlDeviceIsMigDeviceHandle(Device device, u32 *out) { return PUT(out, device == &slice); }
int nvmlDeviceGetName(Device device, char *out, u32 length) {
    NEED(0);
    snprintf(out, length, "%s", me()->model);
    return OK;
}

/* Memory */
static u64 used(Device device) {
    Process rows[32];
    u64 bytes = device == &slice ? 0 : me()->in_use;
    for (u32 i = computing(device, rows, 32); i > 0; i--) bytes += rows[i - 1].bytes;
    return bytes;
}
int nvmlDeviceGetMemoryInfo(Device device, u64 *out) { /* total, free, used */
    NEED(MEMORY);
    u64 total = me()->total / (device == &slice ? 8 : 1), taken = used(device) + me()->reserved;
    out[0] = total, out[1] = total - taken, out[2] = taken;
    return OK;
}
#ifndef WITHOUT_510
int nvmlDeviceGetMemoryInfo_v2(Device device, u64 *out) { /* version, total, reserved, free, used */
    NEED(MEMORY);
    u64 total = me()->total / (device == &slice ? 8 : 1), taken = used(device);
    out[1] = total, out[2] = me()->reserved, out[3] = total - taken - me()->reserved, out[4] = taken;
    return OK;
}
int nvmlDeviceGetCurrentClocksEventReasons(Device device, u64 *out) { NEED(SENSORS); return PUT(out, me()->reasons); }
#endif
int nvmlDeviceGetCurrentClocksThrottleReasons(Device device, u64 *out) {
    NEED(SENSORS);
    return PUT(out, me()->reasons);
}

/* Clocks (kinds: 0 graphics, 1 SM, 2 memory), sensors, settings */
static int clock_of(Device device, u32 kind, u32 what, u32 *out, u32 value) {
    NEED(what);
    return PUT(out, kind == 2 ? 2619 : value);
}
int nvmlDeviceGetClockInfo(Device d, u32 kind, u32 *out) { return clock_of(d, kind, SENSORS, out, me()->clock); }
int nvmlDeviceGetMaxClockInfo(Device d, u32 kind, u32 *out) { return clock_of(d, kind, 0, out, me()->max_clock); }
int nvmlDeviceGetDefaultApplicationsClock(Device d, u32 kind, u32 *out) {
    return clock_of(d, kind, APPLICATION_CLOCKS, out, me()->max_clock);
}
int nvmlDeviceGetTemperature(Device device, u32 sensor, u32 *out) {
    (void)sensor;
    NEED(SENSORS);
    return PUT(out, 41);
}
int nvmlDeviceGetTotalEnergyConsumption(Device device, u64 *out) { NEED(SENSORS); return PUT(out, 1234567); }
typedef struct { u32 field, scope; long long at, took; u32 type; int code; union { u32 whole; u64 room; } value; } Field;
int nvmlDeviceGetFieldValues(Device device, int count, Field *fields) { /* 186: the power of this moment */
    NEED(SENSORS);
    for (int i = 0; i < count; i++) {
        fields[i].type = 1;
        fields[i].value.whole = me()->power_w * 1000;
#ifdef WITHOUT_510
        fields[i].code = NOT_SUPPORTED;
#else
        fields[i].code = fields[i].field == 186 ? OK : NOT_SUPPORTED;
#endif
    }
    return OK;
}
int nvmlDeviceGetCudaComputeCapability(Device device, int *major, int *minor) {
    NEED(0);
    *major = (int)me()->major;
    return PUT(minor, (int)me()->minor);
}
ONE(nvmlDeviceGetPowerUsage, SENSORS, me()->power_w * 1000)
ONE(nvmlDeviceGetEnforcedPowerLimit, SENSORS, me()->limit_w * 1000)
ONE(nvmlDeviceGetPowerManagementLimit, POWER_LIMITS, me()->limit_w * 1000)
ONE(nvmlDeviceGetPowerManagementDefaultLimit, POWER_LIMITS, me()->default_w * 1000)
TWO(nvmlDeviceGetPowerManagementLimitConstraints, POWER_LIMITS, 100000, me()->default_w * 1000)
TWO(nvmlDeviceGetEccMode, ECC, 1, 1)
TWO(nvmlDeviceGetMigMode, ECC, me()->mig, me()->mig)
int nvmlDeviceGetUtilizationRates(Device device, u32 *out) { /* of the GPU, of its memory */
    NEED(UTILISATION);
    out[0] = me()->busy, out[1] = 0;
    return OK;
}
ONE(nvmlDeviceGetPersistenceMode, PERSISTENCE, 1)
ONE(nvmlDeviceGetComputeMode, 0, 0)
ONE(nvmlDeviceGetDisplayActive, 0, me()->display)
