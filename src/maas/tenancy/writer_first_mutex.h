// A shared mutex at which a writer who waits goes before new readers.
//
// std::shared_mutex lets readers in as long as one is inside; with callers on every core there
// always is one, and a revocation, and with it the thread that writes the books, would never get
// its turn. Here a thread that has the lock shared must not take it again. Meets SharedMutex.
#pragma once

#include <pthread.h>

#include "base/check.h"

namespace mill::maas {

class WriterFirstMutex {
 public:
  WriterFirstMutex() {
    pthread_rwlockattr_t kind;
    MILL_CHECK(pthread_rwlockattr_init(&kind) == 0);
    MILL_CHECK(pthread_rwlockattr_setkind_np(&kind, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP) ==
               0);
    MILL_CHECK(pthread_rwlock_init(&lock_, &kind) == 0);
    pthread_rwlockattr_destroy(&kind);
  }
  ~WriterFirstMutex() { pthread_rwlock_destroy(&lock_); }
  WriterFirstMutex(const WriterFirstMutex&) = delete;
  WriterFirstMutex& operator=(const WriterFirstMutex&) = delete;

  void lock() { MILL_CHECK(pthread_rwlock_wrlock(&lock_) == 0); }
  bool try_lock() { return pthread_rwlock_trywrlock(&lock_) == 0; }
  void unlock() { pthread_rwlock_unlock(&lock_); }
  void lock_shared() { MILL_CHECK(pthread_rwlock_rdlock(&lock_) == 0); }
  bool try_lock_shared() { return pthread_rwlock_tryrdlock(&lock_) == 0; }
  void unlock_shared() { pthread_rwlock_unlock(&lock_); }

 private:
  pthread_rwlock_t lock_;
};

}  // namespace mill::maas
