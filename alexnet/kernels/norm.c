/* Response normalisation, y = x d^-beta with d = k + alpha * (sum of x^2 over neighbours), and its gradient, for channels-last
 * tensors of fp32 or bf16: [images][height][width][channels].
 *
 * Sums are taken in fp32 in a fixed order and reach no further than one pixel (neighbouring maps) or one image (neighbouring
 * pixels), so results depend neither on the batch size nor on the number of threads. Without contraction to fused operations, which
 * the flags forbid, every operation is one IEEE rounding: how a compiler vectorises the loops does not show in the bits. Nothing is
 * assumed finite.
 *
 * Neighbours are added up over long padded arrays, in which every segment (the maps of one column at one pixel, or one row of an
 * image) is followed by a gap of zeros as wide as the neighbourhood reaches. */

#include <math.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum {
    VECTOR = 16,      /* values that are moved together: 64 bytes */
    TILE = 512,       /* values worked on together where neighbours are maps: all arrays fit into the first-level cache */
    ARRAYS = 7,       /* of floats in Scratch */
    MOST_THREADS = 64,
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
    long units, at_once, segments, length, gap, border;
} Cut;

typedef struct { /* arrays over padded segments, but for `raw` */
    float *raw, *values, *gradient, *scaled, *spread, *sum, *rows;
    uint32_t *inside; /* all ones where a value is, all zeros in gaps */
} Scratch;

typedef struct {
    const Norm *norm;
    long first, last; /* units */
    int failed;
} Share;

static Cut cut(const Norm *n) {
    const long reach = n->reach, channels = n->channels;
    if (n->columns) {
        const long length = channels / n->columns, at_once = channels < TILE ? TILE / channels : 1;
        return (Cut){n->images * n->height * n->width, at_once, n->columns, length, reach, reach};
    }
    const long length = n->width * channels, gap = reach * channels;
    return (Cut){n->images, 1, n->height, length, gap, reach * (length + gap) + gap};
}

static inline float from_bits(uint32_t bits) {
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static inline uint32_t to_bits(float value) {
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

static void load(float *restrict to, const void *from, long start, long count, int bf16) {
    const float *restrict whole = (const float *)from + start;
    const uint16_t *restrict halves = (const uint16_t *)from + start;
    if (bf16)
        for (long i = 0; i < count; i++) to[i] = from_bits((uint32_t)halves[i] << 16);
    else
        for (long i = 0; i < count; i++) to[i] = whole[i];
}

/* bf16 is rounded to nearest, ties to even; what is not a number stays none. */
static void store(void *to, const float *restrict from, long start, long count, int bf16) {
    float *restrict whole = (float *)to + start;
    uint16_t *restrict halves = (uint16_t *)to + start;
    if (bf16)
        for (long i = 0; i < count; i++) {
            const uint32_t bits = to_bits(from[i]), rounded = (bits + 0x7fff + (bits >> 16 & 1)) >> 16;
            halves[i] = (uint16_t)((bits & 0x7fffffff) > 0x7f800000 ? 0x7fc0 : rounded);
        }
    else
        for (long i = 0; i < count; i++) whole[i] = from[i];
}

/* Copies segments from one spacing to another in whole vectors: what goes beyond the end of one is overwritten by the next, or lies
 * in a gap. Both arrays have room for a vector more. */
static void move(float *restrict to, long to_step, const float *restrict from, long from_step, long length, long segments) {
    for (long s = 0; s < segments; s++)
        for (long i = 0; i < length; i += VECTOR) memcpy(to + s * to_step + i, from + s * from_step + i, VECTOR * sizeof(float));
}

/* sum[i] = from[i - reach * step] + ... + from[i + reach * step], in this order. */
static inline void add_taps(float *restrict sum, const float *restrict from, long count, long step, long reach) {
    for (long i = 0; i < count; i++) {
        float total = from[i - reach * step];
        for (long tap = 1 - reach; tap <= reach; tap++) total += from[i + tap * step];
        sum[i] = total;
    }
}

static void add_line(float *restrict sum, const float *restrict from, long count, long step, long reach) {
    switch (reach) { /* a known number of taps is unrolled, and the loop around it vectorised */
        case 1: add_taps(sum, from, count, step, 1); break;
        case 2: add_taps(sum, from, count, step, 2); break;
        case 4: add_taps(sum, from, count, step, 4); break;
        default: add_taps(sum, from, count, step, reach);
    }
}

/* sum[i] over the neighbours of `spread`. */
static void add_neighbours(const Norm *n, const Cut *c, Scratch *a, long count) {
    if (n->columns) {
        add_line(a->sum, a->spread, count, 1, n->reach);
    } else {
        add_line(a->rows, a->spread, count, n->channels, n->reach);
        add_line(a->sum, a->rows, count, c->length + c->gap, n->reach);
    }
}

/* d^-beta and 1 / d. With the paper's beta of 3/4 two square roots and one division, which run in vectors. */
static inline float power(float d, float beta, int three_quarters, float *inverse) {
    if (three_quarters) {
        const float root = 1.0f / sqrtf(d);
        *inverse = root * root;
        return root * sqrtf(root);
    }
    *inverse = 1.0f / d;
    return powf(d, -beta);
}

/* out = x d^-beta. */
static void forward(const Norm *n, float *restrict out, const float *restrict values, const float *restrict sum, long count) {
    const float alpha = n->alpha, beta = n->beta, k = n->k;
    const int three_quarters = beta == 0.75f;
    for (long i = 0; i < count; i++) {
        float inverse;
        out[i] = power(k + alpha * sum[i], beta, three_quarters, &inverse) * values[i];
    }
}

static void square(float *restrict out, const float *restrict values, const uint32_t *restrict inside, long count) {
    for (long i = 0; i < count; i++) out[i] = from_bits(to_bits(values[i] * values[i]) & inside[i]);
}

/* scaled = g d^-beta, and what each value passes to its neighbours on the way back: spread = x scaled / d. */
static void backward(const Norm *n, const Scratch *a, long count) {
    const float alpha = n->alpha, beta = n->beta, k = n->k;
    const int three_quarters = beta == 0.75f;
    const float *restrict values = a->values, *restrict gradient = a->gradient, *restrict sum = a->sum;
    const uint32_t *restrict inside = a->inside;
    float *restrict scaled = a->scaled, *restrict spread = a->spread;
    for (long i = 0; i < count; i++) {
        float inverse;
        const float s = power(k + alpha * sum[i], beta, three_quarters, &inverse) * gradient[i];
        scaled[i] = s;
        spread[i] = from_bits(to_bits(values[i] * s * inverse) & inside[i]);
    }
}

static void subtract(float *restrict scaled, const float *restrict values, const float *restrict sum, float factor, long count) {
    for (long i = 0; i < count; i++) scaled[i] -= factor * values[i] * sum[i];
}

/* The units from `first` on that are worked on together: dx = g d^-beta - 2 alpha beta x (sum over neighbours of x g d^-(beta+1)). */
static void normalise_some(const Norm *n, const Cut *c, Scratch *a, long first, long units) {
    const long segments = units * c->segments, step = c->length + c->gap, count = segments * step;
    const long start = first * c->segments * c->length, dense = segments * c->length;
    load(a->raw, n->x, start, dense, n->bf16);
    move(a->values, step, a->raw, c->length, c->length, segments);
    square(a->spread, a->values, a->inside, count);
    add_neighbours(n, c, a, count);
    if (n->gradient) {
        load(a->raw, n->gradient, start, dense, n->bf16);
        move(a->gradient, step, a->raw, c->length, c->length, segments);
        backward(n, a, count);
        add_neighbours(n, c, a, count);
        subtract(a->scaled, a->values, a->sum, 2 * n->alpha * n->beta, count);
    } else {
        forward(n, a->scaled, a->values, a->sum, count);
    }
    move(a->raw, c->length, a->scaled, step, c->length, segments);
    store(n->out, a->raw, start, dense, n->bf16);
}

static void *normalise_share(void *argument) {
    Share *share = argument;
    const Norm *n = share->norm;
    const Cut c = cut(n);
    const long count = c.at_once * c.segments * (c.length + c.gap);
    const long room = (c.border + count + c.border + 2 * VECTOR) / VECTOR * VECTOR;
    float *memory = calloc((ARRAYS + 1) * room, sizeof(float)); /* borders and gaps stay zero */
    share->failed = !memory;
    if (!memory) return NULL;
    float *array[ARRAYS];
    for (int i = 0; i < ARRAYS; i++) array[i] = memory + i * room + c.border;
    Scratch a = {array[0], array[1], array[2], array[3], array[4], array[5], array[6], (uint32_t *)(memory + ARRAYS * room)};
    for (long i = 0; i < count; i++) a.inside[i] = i % (c.length + c.gap) < c.length ? 0xffffffff : 0;
    for (long unit = share->first; unit < share->last; unit += c.at_once) {
        const long left = share->last - unit;
        normalise_some(n, &c, &a, unit, left < c.at_once ? left : c.at_once);
    }
    free(memory);
    return NULL;
}

/* Returns 0, or 1 if memory is short. */
int normalise(const Norm *n, int threads) {
    Share shares[MOST_THREADS];
    pthread_t others[MOST_THREADS];
    int started[MOST_THREADS], failed = 0;
    const long units = cut(n).units;
    if (threads > MOST_THREADS) threads = MOST_THREADS;
    for (int t = 0; t < threads; t++) shares[t] = (Share){n, units * t / threads, units * (t + 1) / threads, 0};
    for (int t = 1; t < threads; t++) started[t] = !pthread_create(&others[t], NULL, normalise_share, &shares[t]);
    normalise_share(&shares[0]);
    for (int t = 1; t < threads; t++) {
        if (started[t])
            pthread_join(others[t], NULL);
        else
            normalise_share(&shares[t]);
    }
    for (int t = 0; t < threads; t++) failed |= shares[t].failed;
    return failed;
}
