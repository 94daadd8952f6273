// Task<T>: a coroutine that runs on an Asio executor. Parameters are taken by value, `co_await` stands alone on its line, and
// every wait has a deadline that came with the request.
#pragma once

#include <boost/asio/awaitable.hpp>

namespace mill {
template <class T>
using Task = boost::asio::awaitable<T>;
}
