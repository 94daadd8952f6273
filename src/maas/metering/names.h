// What people call those whom the books know by serial numbers.
#pragma once

#include <cstdint>
#include <string>

namespace mill::maas {

struct Named {
  std::string id;    // "proj_…"; never empty
  std::string name;  // for display; empty where there is none
};

// Given by who keeps the directory. It answers for every serial number that was ever in an entry,
// archived and deleted ones too, and always the same `id`; `name` is what the invoice is to say.
class Names {
 public:
  virtual ~Names() = default;
  virtual Named organization(uint64_t serial) const = 0;
  virtual Named project(uint64_t serial) const = 0;
  virtual Named key(uint64_t serial) const = 0;
};

}  // namespace mill::maas
