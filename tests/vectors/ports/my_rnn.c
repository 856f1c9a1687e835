/* An LSTM with peepholes, a projection and both clips, written from vectors.h and its comments alone.
 * MISTAKE says which slip it makes; 0: none. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "vectors.h"

#ifndef MISTAKE
#define MISTAKE 0
#endif
#define MOST 64

static const vec_real *weight(const vec_layer *layer, const char *name) {
  int at;
  for (at = 0; at < layer->weight_count; at++)
    if (strcmp(layer->weights[at].name, name) == 0) return layer->weights[at].values;
  return NULL;
}

static vec_real sigmoid(vec_real z) { return (vec_real)(1.0 / (1.0 + exp(-(double)z))); }

static vec_real clip(vec_real z, double bound) {
  if (bound <= 0) return z;
  return z > bound ? (vec_real)bound : z < -bound ? (vec_real)-bound : z;
}

static void put(const vec_expected *expected, vec_real **got, const char *name, int over_time,
                size_t row, const vec_real *values) {
  int k;
  for (k = 0; k < expected->array_count; k++) {
    const vec_array *array = &expected->arrays[k];
    if (array->over_time == over_time && strcmp(array->name, name) == 0)
      memcpy(got[k] + row * (size_t)array->width, values, (size_t)array->width * sizeof *values);
  }
}

static const vec_real *initial(const vec_case *given, const char *name) {
  int k;
  for (k = 0; k < given->initial_count; k++)
    if (strcmp(given->initial[k].name, name) == 0) return given->initial[k].values;
  return NULL;
}

void my_rnn(const vec_case *given, vec_real ***got, vec_real *outputs) {
  const vec_expected *expected = &given->layers[0];
  const vec_layer *layer = &vec_layers[expected->layer];
  const vec_real *kernel = weight(layer, "kernel"), *recurrent = weight(layer, "recurrent_kernel");
  const vec_real *bias = weight(layer, "bias"), *projection = weight(layer, "projection");
  const vec_real *peephole[4];
  vec_real c[MOST], m[MOST], z[4 * MOST], raw[MOST], gates[4][MOST], zeros[MOST] = {0};
  static const char *names[] = {"i", "f", "g", "o"};
  int n, t, u, k, gate, units = layer->units, width = layer->outputs;
  (void)outputs; /* no vectors of the whole: the model is one layer */
  peephole[0] = weight(layer, "peephole_i");
  peephole[1] = weight(layer, "peephole_f");
  peephole[2] = NULL;
  peephole[3] = weight(layer, "peephole_o");
  for (n = 0; n < given->sequences; n++) {
    memcpy(c, initial(given, "c") + n * units, (size_t)units * sizeof *c);
    memcpy(m, initial(given, "m") + n * width, (size_t)width * sizeof *m);
    for (t = 0; t < given->timesteps; t++) {
      size_t row = (size_t)n * (size_t)given->timesteps + (size_t)t;
      const vec_real *x = given->x + row * (size_t)given->inputs;
      if (t >= given->lengths[n] && MISTAKE != 3) {
        put(expected, got[0], "c", 1, row, c);
        put(expected, got[0], "m", 1, row, m);
        put(expected, got[0], "outputs", 1, row, zeros);
        for (gate = 0; gate < 4; gate++) put(expected, got[0], names[gate], 1, row, zeros);
        continue;
      }
      for (u = 0; u < 4 * units; u++) {
        double sum = bias[u];
        for (k = 0; k < given->inputs; k++) sum += (double)x[k] * kernel[k * 4 * units + u];
        for (k = 0; k < width; k++) sum += (double)m[k] * recurrent[k * 4 * units + u];
        z[u] = (vec_real)sum;
      }
      for (u = 0; u < units; u++) {
        vec_real before = c[u];
        z[units + u] += (vec_real)(MISTAKE == 1 ? 0.0 : FORGET_BIAS);
        if (peephole[0] != NULL) {
          z[u] += peephole[0][u] * before;
          z[units + u] += peephole[1][u] * before;
        }
        gates[0][u] = sigmoid(z[u]);
        gates[1][u] = sigmoid(z[units + u]);
        gates[2][u] = (vec_real)tanh(z[(MISTAKE == 2 ? 3 : 2) * units + u]);
        c[u] = clip(gates[1][u] * before + gates[0][u] * gates[2][u], MISTAKE == 4 ? 0 : CELL_CLIP);
        if (peephole[3] != NULL) z[3 * units + u] += peephole[3][u] * (MISTAKE == 5 ? before : c[u]);
        gates[3][u] = sigmoid(z[3 * units + u]);
        raw[u] = gates[3][u] * (vec_real)tanh(c[u]);
      }
      for (u = 0; u < width; u++) {
        double sum = 0;
        if (projection == NULL) sum = raw[u];
        else
          for (k = 0; k < units; k++) sum += (double)raw[k] * projection[k * width + u];
        m[u] = clip((vec_real)sum, PROJ_CLIP);
      }
      for (gate = 0; gate < 4; gate++) put(expected, got[0], names[gate], 1, row, gates[gate]);
      put(expected, got[0], "c", 1, row, c);
      put(expected, got[0], "m", 1, row, m);
      put(expected, got[0], "outputs", 1, row, m);
    }
    put(expected, got[0], "c", 0, (size_t)n, MISTAKE == 6 ? zeros : c);
    put(expected, got[0], "m", 0, (size_t)n, m);
  }
}
