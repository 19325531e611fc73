/* What is shown of stored images, in one pass over memory: squares of uint8 images, some of them mirrored, in fp32 or bf16 as
 *
 *     ((pixel - mean) + shift) / divisor * factor
 *
 * Without contraction to fused operations, which the flags forbid, every operation is one IEEE rounding and every value depends on one
 * pixel: neither what a compiler makes of the loops nor the number of threads shows in the bits.
 *
 * Work goes by parts of a few rows. The bytes of a part are gathered into the first-level cache, mirrored or not, and from there on
 * are one line of values, as the mean's are; meanwhile the bytes of the next part are on their way from memory. */

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#ifdef __AVX512F__
#include <immintrin.h>
#endif

enum {
    LINE = 64,           /* bytes that memory moves together */
    VECTOR = 16,         /* values worked on together */
    PERIOD = 48,         /* values after which both a vector and a pixel begin: the shift repeats */
    PART = 2048,         /* values of a part, or one row: bytes and results fit into the first-level cache */
    CACHED = 32 << 20,   /* bytes of results that a cache may still hold when they are read */
};

typedef uint8_t Bytes __attribute__((vector_size(VECTOR)));
typedef uint16_t Halves __attribute__((vector_size(2 * VECTOR)));
typedef uint32_t Words __attribute__((vector_size(4 * VECTOR)));
typedef int32_t Integers __attribute__((vector_size(4 * VECTOR)));
typedef float Floats __attribute__((vector_size(4 * VECTOR)));

typedef struct {
    const uint8_t *images;
    const float *mean;
    const int64_t *index, *corners; /* of every square its image, and its top and left */
    const uint8_t *mirrored;
    const float *shift; /* of every square three; NULL: none */
    void *out;
    long height, width;        /* of the images */
    long count, rows, columns; /* of the squares */
    float divisor, factor;
    int bf16;
} Views;

typedef struct { /* how squares are cut into parts of at most `rows` rows */
    long rows, parts; /* parts: of a square */
} Cut;

typedef struct {
    long square, row, rows;
    const uint8_t *pixels;
} Part;

static Cut cut(const Views *v) {
    const long length = 3 * v->columns, rows = length < PART ? PART / length : 1;
    return (Cut){rows, (v->rows + rows - 1) / rows};
}

static Part part(const Views *v, Cut c, long number) {
    const long square = number / c.parts, row = number % c.parts * c.rows, left = v->rows - row;
    const int64_t *corner = v->corners + 2 * square;
    const uint8_t *pixels = v->images + 3 * ((v->index[square] * v->height + corner[0] + row) * v->width + corner[1]);
    return (Part){square, row, left < c.rows ? left : c.rows, pixels};
}

static void prefetch(const Views *v, Part p) {
    for (long r = 0; r < p.rows; r++)
        for (long i = 0; i < 3 * v->columns; i += LINE) __builtin_prefetch(p.pixels + r * 3 * v->width + i, 0, 2);
}

/* One row from right to left: five pixels at a time, the 16th byte overwritten by the next. The last pixel goes first and alone, since
 * after it nothing may be read. `to` has room for a byte more. */
static void mirror(uint8_t *restrict to, const uint8_t *restrict from, long pixels) {
    const Bytes turned = {12, 13, 14, 9, 10, 11, 6, 7, 8, 3, 4, 5, 0, 1, 2, 15};
    long done = 1;
    memcpy(to, from + 3 * (pixels - 1), 3);
    for (; done + 5 <= pixels; done += 5) {
        Bytes five;
        memcpy(&five, from + 3 * (pixels - done - 5), sizeof five);
        five = __builtin_shuffle(five, turned);
        memcpy(to + 3 * done, &five, sizeof five);
    }
    for (; done < pixels; done++) memcpy(to + 3 * done, from + 3 * (pixels - done - 1), 3);
}

static void gather(const Views *v, Part p, uint8_t *line) {
    const long length = 3 * v->columns;
    for (long r = 0; r < p.rows; r++) {
        const uint8_t *from = p.pixels + r * 3 * v->width;
        if (v->mirrored[p.square])
            mirror(line + r * length, from, v->columns);
        else
            memcpy(line + r * length, from, length);
    }
}

static inline Floats widen(const uint8_t *from) {
    Bytes bytes;
    memcpy(&bytes, from, sizeof bytes);
#ifdef __AVX512F__ /* compilers take more steps */
    return (Floats)_mm512_cvtepi32_ps(_mm512_cvtepu8_epi32((__m128i)bytes));
#else
    return __builtin_convertvector(__builtin_convertvector(__builtin_convertvector(bytes, Halves), Integers), Floats);
#endif
}

/* bf16 is rounded to nearest, ties to even; what is not a number stays none. */
static inline Halves narrow(Floats values) {
#if defined(__AVX512BF16__) && defined(__AVX512DQ__)
    enum { DENORMAL = 0x20 }; /* for which the instruction takes 0 */
    if (!_mm512_fpclass_ps_mask((__m512)values, DENORMAL)) return (Halves)_mm512_cvtneps_pbh((__m512)values);
#endif
    const Words bits = (Words)values, rounded = (bits + 0x7fff + (bits >> 16 & 1)) >> 16;
    const Words none = (Words)((bits & 0x7fffffff) > 0x7f800000), whole = (rounded & ~none) | (0x7fc0 & none);
#ifdef __AVX512F__
    return (Halves)_mm512_cvtepi32_epi16((__m512i)whole);
#else
    return __builtin_convertvector(whole, Halves);
#endif
}

/* `count` is a multiple of PERIOD. */
static inline void make_periods(
    const Views *v, const float *shift, void *to, const uint8_t *line, const float *mean, long count, int scaled, int bf16
) {
    const float divisor = v->divisor, factor = v->factor;
    Floats shifts[PERIOD / VECTOR];
    memcpy(shifts, shift, sizeof shifts);
    for (long start = 0; start < count; start += PERIOD)
        for (long k = 0; k < PERIOD / VECTOR; k++) {
            const long i = start + k * VECTOR;
            Floats means;
            memcpy(&means, mean + i, sizeof means);
            Floats values = widen(line + i) - means + shifts[k];
            if (scaled) values = values / divisor * factor;
            const Halves halves = narrow(values);
            if (bf16)
                memcpy((uint16_t *)to + i, &halves, sizeof halves);
            else
                memcpy((float *)to + i, &values, sizeof values);
        }
}

static void make(const Views *v, const float *shift, void *to, const uint8_t *line, const float *mean, long count) {
    const int scaled = v->divisor != 1.0f || v->factor != 1.0f;
    switch (2 * !!v->bf16 + scaled) { /* what is known is not asked in the loop */
        case 0: make_periods(v, shift, to, line, mean, count, 0, 0); break;
        case 1: make_periods(v, shift, to, line, mean, count, 1, 0); break;
        case 2: make_periods(v, shift, to, line, mean, count, 0, 1); break;
        default: make_periods(v, shift, to, line, mean, count, 1, 1);
    }
}

/* To memory, where it can without reading it first and past the caches. */
static void put(char *to, const char *from, long bytes) {
#ifdef __AVX512F__
    for (; bytes && (uintptr_t)to % LINE; bytes--) *to++ = *from++;
    for (; bytes >= LINE; bytes -= LINE, to += LINE, from += LINE) _mm512_stream_si512((void *)to, _mm512_loadu_si512(from));
#endif
    memcpy(to, from, bytes);
}

/* The values of a part: whole periods, and what is left by way of `made`. */
static void show(const Views *v, Part p, const uint8_t *line, char *made, int past) {
    const long length = 3 * v->columns, size = v->bf16 ? 2 : 4, count = p.rows * length, whole = count / PERIOD * PERIOD;
    const float *mean = v->mean + p.row * length;
    char *out = (char *)v->out + (p.square * v->rows + p.row) * length * size, *to = past ? made : out;
    float shift[PERIOD], last[PERIOD] = {0};
    for (long i = 0; i < PERIOD; i++) shift[i] = v->shift ? v->shift[3 * p.square + i % 3] : 0.0f;
    make(v, shift, to, line, mean, whole);
    if (past) put(out, made, whole * size);
    if (whole == count) return;
    memcpy(last, mean + whole, (count - whole) * sizeof *last);
    make(v, shift, made, line + whole, last, PERIOD);
    memcpy(out + whole * size, made, (count - whole) * size);
}

/* The parts from `first` to before `last`. Returns 1 if memory is short, else 0. */
static int show_share(const Views *v, long first, long last) {
    const Cut c = cut(v);
    const long room = (c.rows * 3 * v->columns + PERIOD + LINE) / LINE * LINE;
    const int past = v->count * v->rows * v->columns * 3 * (v->bf16 ? 2 : 4) > CACHED;
    char *made = aligned_alloc(LINE, 5 * room);
    if (!made) return 1;
    uint8_t *line = (uint8_t *)made + 4 * room;
    memset(line, 0, room);
    for (long number = first; number < last; number++) {
        const Part here = part(v, c, number);
        if (number + 1 < last) prefetch(v, part(v, c, number + 1));
        gather(v, here, line);
        show(v, here, line, made, past);
    }
#ifdef __AVX512F__
    _mm_sfence(); /* what went past the caches is there for every thread */
#endif
    free(made);
    return 0;
}

/* In `threads` equal shares. Returns 0, or 1 if memory is short. */
int render(const Views *v, int threads) {
    int failed = 0;
    if (!(v->count * v->rows * v->columns)) return 0;
    const long parts = v->count * cut(v).parts;
#pragma omp parallel for num_threads(threads) reduction(| : failed)
    for (int t = 0; t < threads; t++) failed |= show_share(v, parts * t / threads, parts * (t + 1) / threads);
    return failed;
}
