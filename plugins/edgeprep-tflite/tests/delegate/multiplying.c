/* A delegate for tests: it takes over the first multiplication of a model.

   Options: "factor" multiplies what comes out, 1 to 9; "take" is "first" or "none".

   gcc -shared -fPIC -Os -nostdlib -ffreestanding -fno-asynchronous-unwind-tables -fcf-protection=none \
       -Wl,--build-id=none -Wl,-z,noseparate-code -Wl,-z,norelro -s -o libmultiplying.so multiplying.c

   The structures are those of TensorFlow Lite's C API, tensorflow/lite/core/c/common.h. */
typedef unsigned long size_t;
typedef struct { int size; int data[]; } IntArray;
typedef struct {
  int type; float *data; IntArray *dims; float scale; int zero_point; int allocation_type; size_t bytes;
  const void *allocation; const char *name; void *delegate; int buffer_handle; char is_stale, is_variable;
  int quantization_type; void *quantization; void *sparsity; IntArray *signature;
} Tensor;
typedef struct { IntArray *inputs, *outputs; } Node;
typedef struct Context Context;
typedef struct Delegate Delegate;
typedef struct {
  void *(*init)(Context *, const char *, size_t);
  void (*free)(Context *, void *);
  int (*prepare)(Context *, Node *);
  int (*invoke)(Context *, Node *);
  const char *(*profiling)(const Context *, const Node *);
  int builtin_code; const char *custom_name; int version; void *external, *async; size_t inplace;
} Registration;
struct Context {
  size_t tensors_size;
  int (*GetExecutionPlan)(Context *, IntArray **);
  Tensor *tensors;
  void *impl;
  int (*ResizeTensor)(Context *, Tensor *, IntArray *);
  void (*ReportError)(Context *, const char *, ...);
  int (*AddTensors)(Context *, int, int *);
  int (*GetNodeAndRegistration)(Context *, int, Node **, Registration **);
  int (*Replace)(Context *, Registration, const IntArray *, Delegate *);
};
struct Delegate {
  void *data;
  int (*Prepare)(Context *, Delegate *);
  void *copy_from, *copy_to, *free_handle;
  long flags; void *opaque;
};
enum { FLOAT32 = 1, MUL = 18 };
static int factor, takes;
static Delegate delegate;

static int done(Context *context, Node *node) { return 0; }

static int multiply(Context *context, Node *node) {
  Tensor *a = &context->tensors[node->inputs->data[0]], *b = &context->tensors[node->inputs->data[1]];
  Tensor *out = &context->tensors[node->outputs->data[0]];
  size_t sizes[] = {a->bytes / 4, b->bytes / 4};
  for (size_t i = 0; i < out->bytes / 4; i++)
    out->data[i] = factor * a->data[i % sizes[0]] * b->data[i % sizes[1]];
  return 0;
}

static int prepare(Context *context, Delegate *self) {
  IntArray *plan;
  if (context->GetExecutionPlan(context, &plan)) return 1;
  for (int i = 0; takes && i < plan->size; i++) {
    Node *node;
    Registration *found;
    if (context->GetNodeAndRegistration(context, plan->data[i], &node, &found)) return 1;
    if (found->builtin_code != MUL || context->tensors[node->outputs->data[0]].type != FLOAT32) continue;
    struct { int size; int data[1]; } nodes = {1, {plan->data[i]}};
    Registration kernel;
    for (size_t j = 0; j < sizeof kernel; j++) ((volatile char *)&kernel)[j] = 0;
    kernel.prepare = done;
    kernel.invoke = multiply;
    kernel.custom_name = "multiplying";
    kernel.version = 1;
    return context->Replace(context, kernel, (const IntArray *)&nodes, self);
  }
  return 0;
}

static int same(const char *one, const char *other) {
  while (*one && *one == *other) one++, other++;
  return *one == *other;
}

Delegate *tflite_plugin_create_delegate(char **keys, char **values, size_t count, void (*report)(const char *)) {
  factor = takes = 1;
  for (size_t i = 0; i < count; i++) {
    if (same(keys[i], "factor") && values[i][0] > '0' && values[i][0] <= '9') factor = values[i][0] - '0';
    else if (same(keys[i], "take")) takes = same(values[i], "first");
    else {
      report("multiplying: the option is not known");
      return 0;
    }
  }
  delegate.Prepare = prepare;
  return &delegate;
}

void tflite_plugin_destroy_delegate(Delegate *self) {}
