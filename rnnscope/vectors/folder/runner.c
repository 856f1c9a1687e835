/* Holds an implementation in C to the vectors of vectors.h. Written by rnnscope vectors.
 *
 * Write my_rnn.c with the function below, beside this folder, and link both:
 *
 *     cc -std=c99 -O2 -I THIS_FOLDER THIS_FOLDER/runner.c my_rnn.c -lm -o runner && ./runner
 *
 * It prints the first value of each case that is wrong, in the order in which a step is computed,
 * and exits with 1 if any is. "./runner theirs.json" writes what was computed as well:
 * "rnnscope check --vectors THIS_FOLDER theirs.json" then says which reading of the weights gives
 * these numbers.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vectors.h"

/* Compute one case.
 *
 * got[l][k] takes what given->layers[l].arrays[k] expects, of the same shape; outputs takes the
 * outputs of all layers together and is NULL for a layer alone. An array that nothing is written to
 * is passed over, and that is said. For a layer alone, l is 0:
 *
 *     const vec_layer *layer = &vec_layers[given->layers[0].layer];
 *     for each k: if given->layers[0].arrays[k].name is "c", write c to got[0][k], …
 *
 * Axes are (sequence, timestep, unit). Past the length of a sequence c and m stay those of its last
 * valid step, and outputs are what the layer's padding says: zeros, or the last valid ones again.
 */
extern void my_rnn(const vec_case *given, vec_real ***got, vec_real *outputs);

typedef struct {
  int found;
  long place; /* of the step, in the order of computing */
  int array, sequence, timestep, unit;
  double expected, got;
} first_wrong;

static size_t size_of(const vec_case *given, const vec_array *array) {
  size_t steps = array->over_time ? (size_t)given->timesteps : 1;
  return (size_t)given->sequences * steps * (size_t)array->width;
}

/* Every bit set: a NaN that no computation gives, so that one of theirs is told from nothing. */
#define NOTHING 0xff

static vec_real *empty(size_t count) {
  vec_real *values = malloc((count ? count : 1) * sizeof *values);
  if (values == NULL) {
    fprintf(stderr, "error: no memory for %lu numbers\n", (unsigned long)count);
    exit(2);
  }
  memset(values, NOTHING, count * sizeof *values);
  return values;
}

static int is_given(const vec_real *values, size_t count) {
  const unsigned char *bytes = (const unsigned char *)values;
  size_t at;
  for (at = 0; at < count * sizeof *values; at++)
    if (bytes[at] != NOTHING) return 1;
  return 0;
}

/* Which step of its sequence a timestep is. */
static long place_of(const vec_case *given, const vec_layer *layer, const vec_array *array, int n,
                     int t) {
  int length = layer->heeds_lengths ? given->lengths[n] : given->timesteps;
  if (!array->over_time) return given->timesteps;
  if (!layer->backward) return t;
  if (strcmp(array->name, "outputs") == 0 && !layer->outputs_turned) return t;
  if (layer->whole) return given->timesteps - 1 - t;
  return t < length ? length - 1 - t : t;
}

static void compare(const vec_case *given, const vec_layer *layer, const vec_array *array, int k,
                    const vec_real *values, first_wrong *first) {
  int n, t, u, steps = array->over_time ? given->timesteps : 1;
  for (n = 0; n < given->sequences; n++)
    for (t = 0; t < steps; t++) {
      long place = place_of(given, layer, array, n, t);
      if (array->gate && layer->heeds_lengths && t >= given->lengths[n]) continue;
      if (first->found && (place > first->place || (place == first->place && k > first->array)))
        continue;
      for (u = 0; u < array->width; u++) {
        size_t at = ((size_t)n * (size_t)steps + (size_t)t) * (size_t)array->width + (size_t)u;
        double expected = array->values[at], got = values[at];
        if (fabs(got - expected) <= array->limit) continue;
        if (first->found && place == first->place && k == first->array) break;
        first->found = 1;
        first->place = place;
        first->array = k;
        first->sequence = n;
        first->timestep = array->over_time ? t : -1;
        first->unit = u;
        first->expected = expected;
        first->got = got;
        break;
      }
    }
}

static void tell(const vec_case *given, const char *layer, const vec_array *array,
                 const first_wrong *first) {
  printf("FAIL %s: first wrong in '%s': %s%s, sequence %d", given->name, layer,
         array->over_time ? "" : "final ", array->name, first->sequence);
  if (array->over_time) printf(", timestep %d", first->timestep);
  printf(", unit %d: expected %.9g, got %.9g (limit %.2g)\n", first->unit, first->expected,
         first->got, array->limit);
}

static void write_numbers(FILE *file, const vec_real *values, int rows, int steps, int width) {
  int n, t, u;
  fputc('[', file);
  for (n = 0; n < rows; n++) {
    fputs(n ? ", [" : "[", file);
    for (t = 0; t < (steps ? steps : 1); t++) {
      if (steps) fputs(t ? ", [" : "[", file);
      for (u = 0; u < width; u++) {
        double value = *values++;
        if (u) fputs(", ", file);
        if (isnan(value) || isinf(value))
          fputs(isnan(value) ? "\"NaN\"" : value > 0 ? "\"Infinity\"" : "\"-Infinity\"", file);
        else
          fprintf(file, "%.17g", value);
      }
      if (steps) fputc(']', file);
    }
    fputc(']', file);
  }
  fputc(']', file);
}

static void write_string(FILE *file, const char *text) {
  fputc('"', file);
  for (; *text; text++) {
    unsigned char one = (unsigned char)*text;
    if (one == '"' || one == '\\') fprintf(file, "\\%c", one);
    else if (one < 32) fprintf(file, "\\u%04x", one);
    else fputc(one, file);
  }
  fputc('"', file);
}

static void write_layer(FILE *file, const vec_case *given, const vec_expected *layer,
                        vec_real **got) {
  int final, k, some;
  for (final = 0; final < 2; final++) {
    fputs(final ? ", \"final\": {" : "\"expected\": {", file);
    for (some = k = 0; k < layer->array_count; k++) {
      const vec_array *array = &layer->arrays[k];
      if (array->over_time == final || !is_given(got[k], size_of(given, array))) continue;
      if (some++) fputs(", ", file);
      write_string(file, array->name);
      fputs(": ", file);
      write_numbers(file, got[k], given->sequences, final ? 0 : given->timesteps, array->width);
    }
    fputc('}', file);
  }
}

static void write_case(FILE *file, int number, const vec_case *given, vec_real ***got,
                       const vec_real *outputs) {
  int l;
  fputs(number ? ",\n{\"name\": " : "{\"name\": ", file);
  write_string(file, given->name);
  fputs(", ", file);
  if (!given->whole) {
    write_layer(file, given, &given->layers[0], got[0]);
  } else {
    fputs("\"expected\": {", file);
    if (is_given(outputs, (size_t)given->sequences * (size_t)given->timesteps *
                              (size_t)given->outputs)) {
      fputs("\"outputs\": ", file);
      write_numbers(file, outputs, given->sequences, given->timesteps, given->outputs);
    }
    fputs("}, \"layers\": {", file);
    for (l = 0; l < given->layer_count; l++) {
      if (l) fputs(", ", file);
      write_string(file, vec_layers[given->layers[l].layer].name);
      fputs(": {", file);
      write_layer(file, given, &given->layers[l], got[l]);
      fputc('}', file);
    }
    fputc('}', file);
  }
  fputc('}', file);
}

/* 1 if a value is wrong, 0 if none is, -1 if there is nothing to compare. */
static int check(const vec_case *given, vec_real ***got, const vec_real *outputs) {
  int k, l, compared = 0;
  for (l = 0; l < given->layer_count; l++) {
    const vec_expected *expected = &given->layers[l];
    const vec_layer *layer = &vec_layers[expected->layer];
    first_wrong first;
    memset(&first, 0, sizeof first);
    for (k = 0; k < expected->array_count; k++) {
      const vec_array *array = &expected->arrays[k];
      if (!is_given(got[l][k], size_of(given, array))) {
        printf("note %s: nothing was written to %s%s of '%s'\n", given->name,
               array->over_time ? "" : "final ", array->name, layer->name);
        continue;
      }
      compared++;
      compare(given, layer, array, k, got[l][k], &first);
    }
    if (first.found) {
      tell(given, layer->name, &expected->arrays[first.array], &first);
      return 1;
    }
  }
  if (given->whole) {
    vec_array whole;
    vec_layer forward;
    first_wrong first;
    memset(&first, 0, sizeof first);
    memset(&forward, 0, sizeof forward);
    whole.name = "outputs";
    whole.width = given->outputs;
    whole.over_time = 1;
    whole.gate = 0;
    whole.limit = given->output_limit;
    whole.values = given->expected_outputs;
    if (is_given(outputs, size_of(given, &whole))) {
      compared++;
      compare(given, &forward, &whole, 0, outputs, &first);
      if (first.found) {
        tell(given, "the whole model", &whole, &first);
        return 1;
      }
    }
  }
  if (!compared) {
    printf("skip %s: nothing was computed\n", given->name);
    return -1;
  }
  printf("pass %s: %d arrays\n", given->name, compared);
  return 0;
}

int main(int count, char **arguments) {
  int at, k, l, wrong = 0, passed = 0;
  FILE *file = NULL;
  if (count > 1) {
    file = fopen(arguments[1], "w");
    if (file == NULL) {
      fprintf(stderr, "error: %s cannot be written\n", arguments[1]);
      return 2;
    }
    fputs("{\"cases\": [\n", file);
  }
  for (at = 0; at < VEC_CASES; at++) {
    const vec_case *given = &vec_cases[at];
    size_t size = (size_t)given->sequences * (size_t)given->timesteps * (size_t)given->outputs;
    vec_real *outputs = given->whole ? empty(size) : NULL;
    vec_real ***got = malloc((size_t)given->layer_count * sizeof *got);
    int verdict;
    if (got == NULL) return 2;
    for (l = 0; l < given->layer_count; l++) {
      const vec_expected *layer = &given->layers[l];
      got[l] = malloc((size_t)layer->array_count * sizeof *got[l]);
      if (got[l] == NULL) return 2;
      for (k = 0; k < layer->array_count; k++)
        got[l][k] = empty(size_of(given, &layer->arrays[k]));
    }
    my_rnn(given, got, outputs);
    verdict = check(given, got, outputs);
    wrong += verdict == 1;
    passed += verdict == 0;
    if (file != NULL) write_case(file, at, given, got, outputs);
    for (l = 0; l < given->layer_count; l++) {
      for (k = 0; k < given->layers[l].array_count; k++) free(got[l][k]);
      free(got[l]);
    }
    free(got);
    free(outputs);
  }
  if (file != NULL) {
    fputs("\n]}\n", file);
    if (fclose(file) != 0) {
      fprintf(stderr, "error: %s could not be written whole\n", arguments[1]);
      return 2;
    }
  }
  printf("%d of %d cases wrong (tolerance %.2g of the largest value of each array)\n", wrong,
         VEC_CASES, vec_tolerance);
  if (wrong) return 1;
  return passed ? 0 : 2;
}
