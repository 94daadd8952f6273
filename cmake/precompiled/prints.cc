#include "prints.h"

MILL_PRINTS()
