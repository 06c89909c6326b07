/* The kernels for the number type of NPDL_PART, 32 or 64 bits: see engine.h. */
#include "engine.h"
