// plain.h and GoogleTest, for tests.
#pragma once

#include "plain.h"
#include "prints.h"
