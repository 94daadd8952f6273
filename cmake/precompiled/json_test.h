// json.h and GoogleTest, for tests.
#pragma once

#include "json.h"
#include "prints.h"
