// Task<T>: a coroutine that runs on the loop of one thread. Parameters are taken by value, `co_await` stands alone on its line,
// and every wait has a deadline that came with the request.
//
// A loop is a boost::asio::io_context that one thread runs: what runs on it never runs at the same time, without a strand. That
// is the only kind of executor there is here, so that Asio need not wrap each completion in a type-erased function of its own.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/basic_waitable_timer.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <chrono>

namespace mill {

using Executor = boost::asio::io_context::executor_type;

template <class T>
using Task = boost::asio::awaitable<T, Executor>;

// What a task waits with: co_await socket.async_…(…, kAwait).
inline constexpr boost::asio::use_awaitable_t<Executor> kAwait;

using Timer = boost::asio::basic_waitable_timer<
    std::chrono::steady_clock, boost::asio::wait_traits<std::chrono::steady_clock>, Executor>;

}  // namespace mill
