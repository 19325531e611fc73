/* Max- and average-pooling at stride 2 and their gradients, for channels-last tensors of fp32 or bf16:
 * [images][height][width][channels].
 *
 * A window that reaches beyond the lower or right edge is clipped there. Results have the bits of torch's own kernels: sums run
 * through a window, and through the windows that hold a pixel, row by row; a mean is summed and divided in fp32, a gradient is
 * rounded to the type of the tensor after every operation; of equal values the first is the largest, and what is not a number is
 * larger than all. Torch writes 8 bytes to say where each largest value is, fills gradients with zeros, and reads and writes a
 * pixel once for each window; here 2 bytes do, and every pixel gathers from its windows and is written once.
 *
 * ReLU, behind max-pooling or before average-pooling, is computed on the way. */

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define INLINE static inline __attribute__((always_inline)) /* so that arguments known to the caller are known in loops */

enum {
    STRIDE = 2,
    LANES = 16,        /* of a vector */
    BLOCK = 2 * LANES, /* channels worked on together */
};

typedef struct {
    const void *x;        /* the values to be pooled; for a gradient, where ReLU comes before a mean; else NULL */
    const void *gradient; /* of the pooled values; NULL: forward */
    void *out;            /* the pooled values or the gradient of x */
    uint32_t *taps;       /* max: which value of its window is the largest, counted row by row; NULL: average */
    long images, height, width, channels, size, rows, columns; /* rows and columns of pooled values */
    int relu, bf16;
} Pool;

typedef void Rows(const Pool *, long first, long last); /* numbers of rows, those of all images counted on */

typedef struct {
    long first, count;
} Range;

/* The compiler makes of these what the processor has. */
typedef float Floats __attribute__((vector_size(4 * LANES)));
typedef int32_t Ints __attribute__((vector_size(4 * LANES))); /* of a condition: all ones where it holds, zeros elsewhere */

/* A block of channels. Of bf16 `low` has those in the lower halves of 32 bits and `high` those in the upper halves: a shift and a
 * mask make fp32 of them. Of fp32 they are the first LANES and the others. */
typedef struct {
    Floats low, high;
} Block;

typedef struct {
    Ints low, high;
} Taps;

INLINE Floats only(Ints condition, Floats values) { return (Floats)(condition & (Ints)values); }

INLINE Block load(const void *from, long i, long count, int bf16) {
    if (!bf16) {
        Block block = {{0}, {0}};
        memcpy(&block, (const float *)from + i, count * sizeof(float));
        return block;
    }
    Ints halves = {0};
    memcpy(&halves, (const uint16_t *)from + i, count * sizeof(uint16_t));
    return (Block){(Floats)(halves << 16), (Floats)(halves & ~0xffff)};
}

/* To bf16, which is the upper half: to nearest, ties to even. What is not a number has zeros below, as all that comes of bf16 and of
 * the processor, and stays none. */
INLINE Floats rounded(Floats values, int bf16) {
    const Ints bits = (Ints)values;
    return bf16 ? (Floats)((bits + 0x7fff + (bits >> 16 & 1)) & ~0xffff) : values;
}

INLINE void store(void *to, long i, long count, Block block, int bf16) {
    if (!bf16) {
        memcpy((float *)to + i, &block, count * sizeof(float));
        return;
    }
    const Ints halves = ((Ints)block.low >> 16 & 0xffff) | (Ints)block.high;
    memcpy((uint16_t *)to + i, &halves, count * sizeof(uint16_t));
}

INLINE Taps load_taps(const Pool *p, long pixel, long c) {
    const long blocks = (p->channels + BLOCK - 1) / BLOCK;
    Ints both;
    memcpy(&both, p->taps + (pixel * blocks + c / BLOCK) * LANES, sizeof both);
    return (Taps){both & 0xffff, both >> 16 & 0xffff};
}

INLINE void store_taps(const Pool *p, long pixel, long c, Taps taps) {
    const long blocks = (p->channels + BLOCK - 1) / BLOCK;
    const Ints both = (taps.low & 0xffff) | taps.high << 16;
    memcpy(p->taps + (pixel * blocks + c / BLOCK) * LANES, &both, sizeof both);
}

/* The pixels of a window. */
INLINE Range inside(long window, long size, long side) {
    const long first = window * STRIDE, left = side - first;
    return (Range){first, left < size ? left : size};
}

/* The windows that hold a pixel: two at most. */
INLINE Range holding(long pixel, long size, long windows) {
    const long first = pixel < size ? 0 : (pixel - size) / STRIDE + 1, end = pixel / STRIDE + 1;
    return (Range){first, (end < windows ? end : windows) - first};
}

INLINE void take_larger(Floats *best, Ints *tap, Floats values, int here) {
    const Ints larger = (values > *best) | (values != values);
    *best = (Floats)((larger & (Ints)values) | (~larger & (Ints)*best));
    *tap = (larger & here) | (~larger & *tap);
}

/* The largest values of a window of high × wide pixels that starts at `from`. Where ReLU shuts one off, its tap is no pixel's. */
INLINE void largest(const Pool *p, long from, long pixel, long high, long wide, long c, long count, int bf16) {
    Block best = {(Floats){0} - __builtin_inff(), (Floats){0} - __builtin_inff()};
    Taps taps = {{0}, {0}};
    for (long y = 0; y < high; y++)
        for (long x = 0; x < wide; x++) {
            const Block values = load(p->x, (from + y * p->width + x) * p->channels + c, count, bf16);
            take_larger(&best.low, &taps.low, values.low, (int)(y * p->size + x));
            take_larger(&best.high, &taps.high, values.high, (int)(y * p->size + x));
        }
    if (p->relu) {
        taps = (Taps){taps.low | (best.low <= 0), taps.high | (best.high <= 0)};
        best = (Block){only(~(best.low < 0), best.low), only(~(best.high < 0), best.high)};
    }
    store(p->out, pixel * p->channels + c, count, best, bf16);
    store_taps(p, pixel, c, taps);
}

INLINE void mean(const Pool *p, long from, long pixel, long high, long wide, long c, long count, int bf16) {
    Block sum = {{0}, {0}};
    for (long y = 0; y < high; y++)
        for (long x = 0; x < wide; x++) {
            const Block values = load(p->x, (from + y * p->width + x) * p->channels + c, count, bf16);
            sum.low += p->relu ? only(~(values.low < 0), values.low) : values.low;
            sum.high += p->relu ? only(~(values.high < 0), values.high) : values.high;
        }
    const float pixels = (float)(high * wide);
    store(p->out, pixel * p->channels + c, count, (Block){rounded(sum.low / pixels, bf16), rounded(sum.high / pixels, bf16)}, bf16);
}

/* All channels of a pooled pixel. Its window is mostly whole, and loops of known length are unrolled. */
INLINE void forward(const Pool *p, long image, long row, long column, int max, int bf16) {
    const Range h = inside(row, p->size, p->height), w = inside(column, p->size, p->width);
    const long from = (image * p->height + h.first) * p->width + w.first, to = (image * p->rows + row) * p->columns + column;
    for (long c = 0; c < p->channels; c += BLOCK) {
        const long left = p->channels - c;
        if (h.count == 3 && w.count == 3 && left >= BLOCK)
            (max ? largest : mean)(p, from, to, 3, 3, c, BLOCK, bf16);
        else
            (max ? largest : mean)(p, from, to, h.count, w.count, c, left < BLOCK ? left : BLOCK, bf16);
    }
}

/* Where the gradient of a pixel comes from: rows × columns windows, of which the first is `from` and has the pixel as number `tap`. In
 * those below and to the right of it the pixel comes as much earlier as they start later. */
typedef struct {
    Range rows, columns;
    long from, tap;
} Sources;

INLINE Sources sources(const Pool *p, long image, long y, long x) {
    const Range h = holding(y, p->size, p->rows), w = holding(x, p->size, p->columns);
    const long tap = (y - h.first * STRIDE) * p->size + x - w.first * STRIDE;
    return (Sources){h, w, (image * p->rows + h.first) * p->columns + w.first, tap};
}

/* How many pixels share the gradient of a mean. */
INLINE float shares(const Pool *p, const Sources *s, long row, long column) {
    return (float)(inside(s->rows.first + row, p->size, p->height).count * inside(s->columns.first + column, p->size, p->width).count);
}

INLINE void gather(const Pool *p, const Sources *s, long pixel, long c, long count, int max, int bf16) {
    Block sum = {{0}, {0}};
    for (long row = 0; row < s->rows.count; row++)
        for (long column = 0; column < s->columns.count; column++) {
            const long window = s->from + row * p->columns + column;
            Block due = load(p->gradient, window * p->channels + c, count, bf16);
            if (max) {
                const Taps taps = load_taps(p, window, c);
                const int here = (int)(s->tap - (row * p->size + column) * STRIDE);
                due = (Block){only(taps.low == here, due.low), only(taps.high == here, due.high)};
            } else {
                const float pixels = shares(p, s, row, column);
                due = (Block){rounded(due.low / pixels, bf16), rounded(due.high / pixels, bf16)};
            }
            sum = (Block){rounded(sum.low + due.low, bf16), rounded(sum.high + due.high, bf16)};
        }
    if (!max && p->relu) {
        const Block x = load(p->x, pixel * p->channels + c, count, bf16);
        sum = (Block){only(~(x.low <= 0), sum.low), only(~(x.high <= 0), sum.high)};
    }
    store(p->out, pixel * p->channels + c, count, sum, bf16);
}

/* All channels of the gradient of a pixel. */
INLINE void backward(const Pool *p, long image, long y, long x, int max, int bf16) {
    const Sources s = sources(p, image, y, x);
    const long pixel = (image * p->height + y) * p->width + x;
    for (long c = 0; c < p->channels; c += BLOCK) {
        const long left = p->channels - c;
        if (left >= BLOCK)
            gather(p, &s, pixel, c, BLOCK, max, bf16);
        else
            gather(p, &s, pixel, c, left, max, bf16);
    }
}

INLINE void forward_rows(const Pool *p, long first, long last, int max, int bf16) {
    for (long row = first; row < last; row++)
        for (long column = 0; column < p->columns; column++) forward(p, row / p->rows, row % p->rows, column, max, bf16);
}

INLINE void backward_rows(const Pool *p, long first, long last, int max, int bf16) {
    for (long row = first; row < last; row++)
        for (long x = 0; x < p->width; x++) backward(p, row / p->height, row % p->height, x, max, bf16);
}

static void largest_fp32(const Pool *p, long first, long last) { forward_rows(p, first, last, 1, 0); }
static void largest_bf16(const Pool *p, long first, long last) { forward_rows(p, first, last, 1, 1); }
static void mean_fp32(const Pool *p, long first, long last) { forward_rows(p, first, last, 0, 0); }
static void mean_bf16(const Pool *p, long first, long last) { forward_rows(p, first, last, 0, 1); }
static void of_largest_fp32(const Pool *p, long first, long last) { backward_rows(p, first, last, 1, 0); }
static void of_largest_bf16(const Pool *p, long first, long last) { backward_rows(p, first, last, 1, 1); }
static void of_mean_fp32(const Pool *p, long first, long last) { backward_rows(p, first, last, 0, 0); }
static void of_mean_bf16(const Pool *p, long first, long last) { backward_rows(p, first, last, 0, 1); }

/* In `threads` equal shares. */
void pool(const Pool *p, int threads) {
    Rows *const bodies[2][2][2] = {{{mean_fp32, mean_bf16}, {largest_fp32, largest_bf16}},
                                   {{of_mean_fp32, of_mean_bf16}, {of_largest_fp32, of_largest_bf16}}};
    Rows *const body = bodies[p->gradient != NULL][p->taps != NULL][p->bf16];
    const long rows = p->images * (p->gradient ? p->height : p->rows);
#pragma omp parallel for num_threads(threads)
    for (int t = 0; t < threads; t++) {
        const Pool own = *p; /* a copy that nothing which is written can change */
        body(&own, rows * t / threads, rows * (t + 1) / threads);
    }
}
