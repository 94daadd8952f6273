#include "app/doctor.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/json.hpp>

#include "app/progress.h"

namespace mill::app {
namespace {

using device::Machine;

std::string plural(int64_t count, std::string_view one, std::string_view many) {
  return fmt::format("{} {}", count, count == 1 ? one : many);
}

std::string binary_bytes(int64_t bytes) {
  if (bytes >= 1 << 20) return fmt::format("{:g} MiB", static_cast<double>(bytes) / (1 << 20));
  return fmt::format("{:g} KiB", static_cast<double>(bytes) / 1024);
}

std::string decimal_bytes(int64_t bytes) {
  return bytes_text(static_cast<uint64_t>(std::max<int64_t>(0, bytes)));
}

std::string row(std::string_view label, std::string_view value) {
  return fmt::format("{:<14} {}\n", label, value);
}

std::string cores_text(const Machine& m) {
  std::string text = fmt::format("{}, {}, {}", plural(m.cores, "core", "cores"),
                                 plural(m.logical_cpus, "thread", "threads"),
                                 plural(m.sockets, "socket", "sockets"));
  text += fmt::format("; this process may use {}", m.usable_cores);
  if (m.group.cores && *m.group.cores < m.allowed_cpus)
    text += fmt::format(" (its control group is limited to {})", *m.group.cores);
  if (m.logical_cpus > m.allowed_cpus)
    text += fmt::format(" (its affinity mask has {})", m.allowed_cpus);
  return text;
}

std::string caches_text(const Machine& m) {
  std::string text;
  for (const device::Cache& cache : m.caches) {
    const std::string kind = cache.type == "Unified" ? ""
                             : cache.type == "Data"  ? " data"
                                                     : " code";
    text += fmt::format("{}L{}{} {} x {}", text.empty() ? "" : ", ", cache.level, kind, cache.count,
                        binary_bytes(cache.bytes));
  }
  return text.empty() ? "the system does not say" : text;
}

std::string isa_text() {
  std::string has;
  std::string lacks;
  for (const device::IsaFlag& flag : device::isa_flags())
    (flag.usable ? has : lacks) += fmt::format("{} ", flag.name);
  if (!lacks.empty()) lacks.pop_back();
  return lacks.empty() ? has : fmt::format("{}(not {})", has, lacks);
}

std::string memory_text(const Machine& m) {
  std::string text = fmt::format("{}, {} free for this process", decimal_bytes(m.memory_bytes),
                                 decimal_bytes(m.available_bytes));
  if (m.group.memory_bytes)
    text +=
        fmt::format("; its control group is limited to {}", decimal_bytes(*m.group.memory_bytes));
  return text;
}

std::string nodes_text(const Machine& m) {
  if (m.nodes.empty()) return "the system does not say";
  std::string text = plural(static_cast<int64_t>(m.nodes.size()), "node", "nodes");
  for (const device::NumaNode& node : m.nodes) {
    text += fmt::format(", {}: {} and {}", node.id, plural(node.logical_cpus, "thread", "threads"),
                        decimal_bytes(node.memory_bytes));
  }
  return text;
}

std::string huge_pages_text(const Machine& m) {
  if (m.huge_pages.mode.empty()) return "none: this kernel has no transparent huge pages";
  return fmt::format("transparent: {}, of {}; {} reserved", m.huge_pages.mode,
                     binary_bytes(m.huge_pages.page_bytes), m.huge_pages.reserved);
}

std::string accelerators_text(const Machine& m) {
  std::string text;
  for (const device::Accelerator& one : m.accelerators) {
    text += fmt::format("{}{} ({}{})", text.empty() ? "" : ", ", one.kind, one.path,
                        one.accessible ? "" : ", no access");
  }
  return text.empty() ? "none seen" : text + "; this version computes on the processor";
}

std::string packed_cache_text(const Checkup& c) {
  const std::string limit = decimal_bytes(c.packed_cache_limit);
  if (!c.packed) return fmt::format("{}, nothing there yet; at most {}", c.packed_cache, limit);
  return fmt::format("{}, {} with {}; at most {}", c.packed_cache,
                     plural(c.packed->files, "file", "files"), bytes_text(c.packed->bytes), limit);
}

// Tokens per second that reading all weights once per token allows one stream.
double ceiling(const Checkup& c, int64_t bytes) {
  return c.rates.read_bytes_per_second / static_cast<double>(bytes);
}

}  // namespace

std::vector<std::string> advice_for(const Checkup& c) {
  const Machine& m = c.machine;
  std::vector<std::string> advice;
  if (!c.optimised_build) {
    advice.push_back(
        "This is no release build: build with `cmake --preset release`, it is many times faster.");
  }
  const bool crowded = m.load > 0.5 * m.usable_cores;
  if (crowded) {
    advice.push_back(
        fmt::format("Other programs are running (load {:.1f} on {}): the rates above are lower "
                    "than the machine's, and "
                    "so will the model's speed be.",
                    m.load, plural(m.logical_cpus, "thread", "threads")));
  }
  if (m.huge_pages.mode == "never") {
    advice.push_back(
        "Transparent huge pages are off: `echo madvise | sudo tee "
        "/sys/kernel/mm/transparent_hugepage/enabled` lets "
        "weights be read up to a quarter faster.");
  }
  if (m.governor == "powersave" || m.governor == "conservative") {
    advice.push_back(
        fmt::format("The clock's governor is {}: `echo performance | sudo tee "
                    "/sys/devices/system/cpu/cpu*/cpufreq/scaling_governor` keeps the clock up.",
                    m.governor));
  }
  if (m.usable_cores < m.cores) {
    advice.push_back(
        fmt::format("This process may use {} of {}: give its container or service more CPUs.",
                    m.usable_cores, plural(m.cores, "core", "cores")));
  }
  if (m.usable_cores > m.cores && m.cores > 0) {
    advice.push_back(
        fmt::format("Two threads share a core: try --threads {}, one per core, beside --threads "
                    "{}, and keep what "
                    "`tokenmill bench` finds faster.",
                    m.cores, m.usable_cores));
  }
  if (m.nodes.size() > 1) {
    advice.push_back(
        fmt::format("Memory is spread over {} NUMA nodes: one server per node (`numactl "
                    "--cpunodebind=0 --membind=0 "
                    "tokenmill serve …`) reads only near memory.",
                    m.nodes.size()));
  }
  if (c.rates.int8_path == "scalar") {
    advice.push_back(
        "The processor has no vector instructions that this binary knows: any x86-64 server since "
        "2014 (AVX2) is many "
        "times faster.");
  } else if (c.rates.int8_path == "avx2") {
    advice.push_back(
        "The processor has no VNNI: long prompts take about three times as long as on one with "
        "AVX-512 VNNI or "
        "AVX-VNNI.");
  }
  if (m.virtual_machine && !crowded &&
      c.rates.read_bytes_per_second < 8e9 * std::min(c.threads, 2)) {
    advice.push_back(
        "Memory reads slowly for such a machine: its host may be crowded; another kind of instance "
        "may read faster.");
  }
  return advice;
}

const CatalogueModel* largest_that_fits(const Catalogue& catalogue, int64_t available_bytes) {
  const CatalogueModel* best = nullptr;
  for (const CatalogueModel& model : catalogue.models()) {
    if (!model.memory || *model.memory > available_bytes) continue;
    if (best == nullptr || *model.memory > *best->memory) best = &model;
  }
  return best;
}

std::string checkup_text(const Checkup& c, const Catalogue& catalogue) {
  const Machine& m = c.machine;
  const std::string cpu = m.cpu.empty() ? "a processor that does not give its name" : m.cpu;
  std::string text = row("processor", fmt::format("{} ({}{})", cpu, m.architecture,
                                                  m.virtual_machine ? ", virtual machine" : ""));
  text +=
      row("cores", cores_text(m)) + row("caches", caches_text(m)) + row("instructions", isa_text());
  text += row("kernels", fmt::format("{} (the first is used)", fmt::join(c.backends, ", ")));
  text += row("memory", memory_text(m)) + row("NUMA", nodes_text(m)) +
          row("huge pages", huge_pages_text(m));
  text += row("accelerators", accelerators_text(m));
  if (!c.packed_cache.empty()) text += row("packed cache", packed_cache_text(c));
  const std::string with = "with " + plural(c.threads, "thread", "threads");
  text += row("memory rate",
              fmt::format("{:.1f} GB/s read {}", c.rates.read_bytes_per_second / 1e9, with));
  text +=
      row("int8 rate", fmt::format("{:.0f} billion multiply-adds/s {} ({})",
                                   c.rates.int8_macs_per_second / 1e9, with, c.rates.int8_path));
  const CatalogueModel* usual = catalogue.find(catalogue.default_model());
  if (usual != nullptr && usual->size) {
    text +=
        row("at most",
            fmt::format("{:.0f} tokens/s in one stream of {}, as its {} are read for each token",
                        ceiling(c, *usual->size), usual->name, decimal_bytes(*usual->size)));
  }
  if (const CatalogueModel* fits = largest_that_fits(catalogue, m.available_bytes)) {
    text += row("room for", fmt::format("{} ({}), the largest of the catalogue that fits",
                                        fits->name, decimal_bytes(*fits->memory)));
  } else {
    text += row("room for", "no model of the catalogue: free some memory");
  }
  const std::vector<std::string> advice = advice_for(c);
  if (advice.empty()) return text + "\nNothing was found that would make it faster.\n";
  text += "\nFor more speed:\n";
  for (const std::string& sentence : advice) text += "- " + sentence + "\n";
  return text;
}

std::string checkup_json(const Checkup& c, const Catalogue& catalogue) {
  const Machine& m = c.machine;
  boost::json::array caches;
  for (const device::Cache& one : m.caches) {
    caches.push_back(boost::json::object{
        {"level", one.level}, {"type", one.type}, {"bytes", one.bytes}, {"count", one.count}});
  }
  boost::json::object isa;
  for (const device::IsaFlag& flag : device::isa_flags()) isa[flag.name] = flag.usable;
  boost::json::array nodes;
  for (const device::NumaNode& one : m.nodes) {
    nodes.push_back(boost::json::object{
        {"id", one.id}, {"logical_cpus", one.logical_cpus}, {"memory_bytes", one.memory_bytes}});
  }
  boost::json::array accelerators;
  for (const device::Accelerator& one : m.accelerators) {
    accelerators.push_back(boost::json::object{
        {"kind", one.kind}, {"path", one.path}, {"accessible", one.accessible}});
  }
  const auto optional = [](const std::optional<int64_t>& value) {
    return value ? boost::json::value(*value) : boost::json::value();
  };
  const CatalogueModel* fits = largest_that_fits(catalogue, m.available_bytes);
  boost::json::value packed_cache;
  if (!c.packed_cache.empty()) {
    const model::PackedFolder held = c.packed.value_or(model::PackedFolder{});
    packed_cache = boost::json::object{{"folder", c.packed_cache},
                                       {"files", held.files},
                                       {"bytes", held.bytes},
                                       {"limit_bytes", c.packed_cache_limit}};
  }
  const boost::json::object all{
      {"cpu", m.cpu},
      {"architecture", m.architecture},
      {"virtual_machine", m.virtual_machine},
      {"sockets", m.sockets},
      {"cores", m.cores},
      {"logical_cpus", m.logical_cpus},
      {"allowed_cpus", m.allowed_cpus},
      {"usable_cores", m.usable_cores},
      {"caches", std::move(caches)},
      {"isa", std::move(isa)},
      {"backends", boost::json::value_from(c.backends)},
      {"memory_bytes", m.memory_bytes},
      {"available_bytes", m.available_bytes},
      {"group_cores", optional(m.group.cores)},
      {"group_memory_bytes", optional(m.group.memory_bytes)},
      {"numa_nodes", std::move(nodes)},
      {"huge_pages",
       {{"mode", m.huge_pages.mode},
        {"page_bytes", m.huge_pages.page_bytes},
        {"reserved", m.huge_pages.reserved}}},
      {"governor", m.governor},
      {"load", m.load},
      {"accelerators", std::move(accelerators)},
      {"packed_cache", std::move(packed_cache)},
      {"threads", c.threads},
      {"read_bytes_per_second", c.rates.read_bytes_per_second},
      {"int8_macs_per_second", c.rates.int8_macs_per_second},
      {"int8_path", c.rates.int8_path},
      {"largest_model", fits == nullptr ? boost::json::value() : boost::json::value(fits->name)},
      {"advice", boost::json::value_from(advice_for(c))}};
  return boost::json::serialize(all) + "\n";
}

}  // namespace mill::app
