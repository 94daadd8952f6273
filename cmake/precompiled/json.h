// plain.h and JSON.
#pragma once

#include <boost/json.hpp>

#include "plain.h"
