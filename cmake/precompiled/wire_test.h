// wire.h and GoogleTest, for tests.
#pragma once

#include "prints.h"
#include "wire.h"
