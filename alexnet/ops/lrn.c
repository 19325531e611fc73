/* Response normalisation, y = x d^-beta with d = k + alpha * (sum of x^2 over neighbours), and its gradient, for channels-last
 * tensors of fp32 or bf16: [images][height][width][channels].
 *
 * Sums are taken in fp32 in a fixed order and reach no further than one pixel (neighbouring maps) or one image (neighbouring
 * pixels), so results depend neither on the batch size nor on the number of threads. Without contraction to fused operations, which
 * the flags forbid, every operation is one IEEE rounding: how a compiler vectorises the loops does not show in the bits. Nothing is
 * assumed finite.
 *
 * What is summed lies in padded arrays, in which every segment (the maps of one column at one pixel, or one row of an image) is
 * followed by a gap of zeros as wide as the neighbourhood reaches. All else stays in registers: a loop over a segment adds up the
 * neighbours itself, and reads and writes the tensors where they are. It runs over whole vectors: what it writes beyond the end of
 * its segment is written again with the next, or cleared. */

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define INLINE static inline __attribute__((always_inline)) /* so that what a caller knows is constant in the loops */

enum {
    VECTOR = 16, /* values in the longest vectors of a processor: 64 bytes */
    TILE = 512, /* values worked on together where neighbours are maps: what they need fits into the first-level cache */
    ARRAYS = 5, /* in Scratch */
};

typedef struct {
    const void *x, *gradient; /* gradient NULL: forward */
    void *out;
    long images, height, width, channels;
    long columns, reach; /* neighbours: maps of the column at most `reach` apart; with 0 columns, pixels of the map at most so far */
    float alpha, beta, k;
    int bf16;
} Norm;

typedef struct { /* how the tensor is cut: units that nothing reaches across, each of some segments, `at_once` worked on together */
    long units, at_once, segments, length;
    long step, tap, border; /* in padded arrays: from segment to segment, from neighbour to neighbour, zeros on either side */
} Cut;

typedef struct { /* padded arrays */
    float *squares, *spread, *scaled, *rows, *sums;
} Scratch;

typedef struct { /* what the loops are compiled for; three_quarters: beta is 3/4 */
    long reach; /* how far neighbours are added up in the loops; 0: they have been added up before */
    int bf16, three_quarters;
} Known;

static Cut cut(const Norm *n) {
    const long reach = n->reach, channels = n->channels;
    if (n->columns) {
        const long length = channels / n->columns, at_once = channels < TILE ? TILE / channels : 1;
        return (Cut){n->images * n->height * n->width, at_once, n->columns, length, length + reach, 1, reach};
    }
    const long length = n->width * channels, gap = reach * channels, step = length + gap;
    return (Cut){n->images, 1, n->height, length, step, step, reach * step + gap};
}

INLINE float load(const void *from, long i, int bf16) {
    if (!bf16) return ((const float *)from)[i];
    const uint32_t bits = (uint32_t)((const uint16_t *)from)[i] << 16;
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* bf16 is rounded to nearest, ties to even; what is not a number stays none. */
INLINE void store(void *to, long i, float value, int bf16) {
    if (!bf16) {
        ((float *)to)[i] = value;
        return;
    }
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    const uint32_t rounded = (bits + 0x7fff + (bits >> 16 & 1)) >> 16;
    ((uint16_t *)to)[i] = (uint16_t)((bits & 0x7fffffff) > 0x7f800000 ? 0x7fc0 : rounded);
}

/* at[-reach * tap] + ... + at[reach * tap], in this order. */
INLINE float around(const float *at, long tap, long reach) {
    float sum = at[-reach * tap];
    for (long j = 1 - reach; j <= reach; j++) sum += at[j * tap];
    return sum;
}

/* The same for whole segments, one neighbour after the other: this runs in vectors for any reach. */
static void add_line(float *restrict sums, const float *restrict from, const Cut *c, long segments, long tap, long reach) {
    for (long at = 0; at < segments * c->step; at += c->step) {
        memcpy(sums + at, from + at - reach * tap, c->length * sizeof(float));
        for (long j = 1 - reach; j <= reach; j++)
            for (long i = at; i < at + c->length; i++) sums[i] += from[i + j * tap];
    }
}

/* What is added up before the loops that use the sums: pixels along rows, and the rest where the loops do not know the reach. */
static const float *add(const Norm *n, const Cut *c, const Scratch *a, const float *from, long segments, Known known) {
    if (!n->columns) {
        add_line(a->rows, from, c, segments, n->channels, n->reach);
        from = a->rows;
    }
    if (known.reach) return from;
    add_line(a->sums, from, c, segments, c->tap, n->reach);
    return a->sums;
}

/* d^-beta and 1 / d. With the paper's beta of 3/4 two square roots and one division, which run in vectors. */
INLINE float power(float d, float beta, int three_quarters, float *inverse) {
    if (three_quarters) {
        const float root = 1.0f / sqrtf(d);
        *inverse = root * root;
        return root * sqrtf(root);
    }
    *inverse = 1.0f / d;
    return powf(d, -beta);
}

INLINE void square(float *restrict squares, const void *restrict x, long count, Known known) {
    for (long i = 0; i < count; i++) {
        const float value = load(x, i, known.bf16);
        squares[i] = value * value;
    }
}

/* out = x d^-beta. */
INLINE void forward(const Norm *n, void *restrict out, const void *restrict x, const float *restrict squares, long count, long tap,
                    Known known) {
    const float alpha = n->alpha, beta = n->beta, k = n->k;
    for (long i = 0; i < count; i++) {
        float inverse;
        const float d = k + alpha * around(squares + i, tap, known.reach);
        store(out, i, power(d, beta, known.three_quarters, &inverse) * load(x, i, known.bf16), known.bf16);
    }
}

/* scaled = g d^-beta, and what each value passes to its neighbours on the way back: spread = x scaled / d. */
INLINE void scale(const Norm *n, float *restrict scaled, float *restrict spread, const void *restrict x,
                  const void *restrict gradient, const float *restrict squares, long count, long tap, Known known) {
    const float alpha = n->alpha, beta = n->beta, k = n->k;
    for (long i = 0; i < count; i++) {
        float inverse;
        const float d = k + alpha * around(squares + i, tap, known.reach);
        scaled[i] = power(d, beta, known.three_quarters, &inverse) * load(gradient, i, known.bf16);
        spread[i] = load(x, i, known.bf16) * scaled[i] * inverse;
    }
}

/* out = scaled - 2 alpha beta x (sum of spread). */
INLINE void backward(const Norm *n, void *restrict out, const void *restrict x, const float *restrict scaled,
                     const float *restrict spread, long count, long tap, Known known) {
    const float factor = 2 * n->alpha * n->beta;
    for (long i = 0; i < count; i++)
        store(out, i, scaled[i] - factor * load(x, i, known.bf16) * around(spread + i, tap, known.reach), known.bf16);
}

/* Makes zeros of what a loop has written beyond the end of its segment. */
static inline void clear(float *gap) { memset(gap, 0, VECTOR * sizeof(float)); }

/* Segments that are worked on together, in loops over `count` values of each:
 * dx = g d^-beta - 2 alpha beta x (sum over neighbours of x g d^-(beta+1)). */
INLINE void normalise_known(const Norm *n, const Cut *c, const Scratch *a, long first, long segments, long count, Known known) {
    const long length = c->length, step = c->step, tap = c->tap, bytes = length * (known.bf16 ? 2 : 4); /* of a segment */
    const char *x = (const char *)n->x + first * bytes;
    char *out = (char *)n->out + first * bytes;
    for (long s = 0; s < segments; s++) {
        square(a->squares + s * step, x + s * bytes, count, known);
        clear(a->squares + s * step + length);
    }
    const float *squares = add(n, c, a, a->squares, segments, known);
    if (!n->gradient) {
        for (long s = 0; s < segments; s++) forward(n, out + s * bytes, x + s * bytes, squares + s * step, count, tap, known);
        return;
    }
    const char *gradient = (const char *)n->gradient + first * bytes;
    for (long s = 0; s < segments; s++) {
        scale(n, a->scaled + s * step, a->spread + s * step, x + s * bytes, gradient + s * bytes, squares + s * step, count, tap,
              known);
        clear(a->spread + s * step + length);
    }
    const float *spread = add(n, c, a, a->spread, segments, known);
    for (long s = 0; s < segments; s++)
        backward(n, out + s * bytes, x + s * bytes, a->scaled + s * step, spread + s * step, count, tap, known);
}

/* Loops are compiled for the neighbourhoods of the paper's nets, n = 5 and n = 9, and for all others. */
static void normalise_some(const Norm *n, const Cut *c, const Scratch *a, long first, long segments, long count) {
    const int usual = n->beta == 0.75f;
    const long reach = usual && (n->reach == 2 || n->reach == 4) ? n->reach : 0;
    switch (reach + n->bf16) {
        case 0: normalise_known(n, c, a, first, segments, count, (Known){0, 0, usual}); break;
        case 1: normalise_known(n, c, a, first, segments, count, (Known){0, 1, usual}); break;
        case 2: normalise_known(n, c, a, first, segments, count, (Known){2, 0, 1}); break;
        case 3: normalise_known(n, c, a, first, segments, count, (Known){2, 1, 1}); break;
        case 4: normalise_known(n, c, a, first, segments, count, (Known){4, 0, 1}); break;
        case 5: normalise_known(n, c, a, first, segments, count, (Known){4, 1, 1}); break;
    }
}

/* The units from `first` to before `last`. Returns 1 if memory is short, else 0. */
static int normalise_share(const Norm *n, long first, long last) {
    const Cut c = cut(n);
    const long room = c.border + c.at_once * c.segments * c.step + c.border + 2 * VECTOR;
    float *memory = calloc(ARRAYS * room, sizeof(float)); /* borders and gaps stay zero */
    if (!memory) return 1;
    float *start = memory + c.border;
    const Scratch a = {start, start + room, start + 2 * room, start + 3 * room, start + 4 * room};
    const long whole = (c.length + VECTOR - 1) / VECTOR * VECTOR;
    const long exact = last - VECTOR / (c.segments * c.length) - 1; /* from here on, vectors could end beyond the share */
    for (long unit = first, units; unit < last; unit += units) {
        units = (unit < exact ? exact : last) - unit;
        if (units > c.at_once) units = c.at_once;
        normalise_some(n, &c, &a, unit * c.segments, units * c.segments, unit < exact ? whole : c.length);
    }
    free(memory);
    return 0;
}

/* In `threads` equal shares. Returns 0, or 1 if memory is short. */
int normalise(const Norm *n, int threads) {
    int failed = 0;
    if (!(n->images * n->height * n->width * n->channels)) return 0;
    const long units = cut(n).units;
#pragma omp parallel for num_threads(threads) reduction(| : failed)
    for (int t = 0; t < threads; t++) failed |= normalise_share(n, units * t / threads, units * (t + 1) / threads);
    return failed;
}
