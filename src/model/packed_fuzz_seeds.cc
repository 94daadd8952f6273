// Writes the heads that the fuzzer starts from into a folder: of no, of one and of many tensors.
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <string>

#include "model/packed_head.h"

int main(int count, char** arguments) {
  using namespace mill::model;
  if (count != 2) {
    std::fprintf(stderr, "usage: %s FOLDER\n", arguments[0]);
    return 2;
  }
  bool good = true;
  for (const int tensors : {0, 1, 40}) {
    PackedHead head{.layout = "panel32-1"};
    for (int i = 0; i < tensors; ++i) {
      head.tensors.push_back({.name = "blk." + std::to_string(i) + ".attn_q.weight",
                              .rows = 32,
                              .cols = 64 + i,
                              .bytes = 8192 + static_cast<uint64_t>(i)});
    }
    const std::filesystem::path folder = arguments[1];
    std::ofstream out(folder / ("head" + std::to_string(tensors)), std::ios::binary);
    const auto bytes = encode(head);
    out.write(reinterpret_cast<const char*>(bytes.data()), static_cast<long>(bytes.size()));
    out.flush();
    good &= out.good();
  }
  if (!good) std::fprintf(stderr, "cannot write the seeds to %s\n", arguments[1]);
  return good ? 0 : 1;
}
