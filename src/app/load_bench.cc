#include "app/load_bench.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <fstream>
#include <memory>
#include <optional>
#include <utility>

#include "app/load_plan.h"
#include "app/mounted_model.h"
#include "app/open_files.h"
#include "app/progress.h"
#include "device/power_meter.h"
#include "load/drive.h"
#include "load/http_target.h"
#include "load/plot.h"
#include "load/report.h"
#include "load/worker_target.h"
#include "net/event_loop.h"

namespace mill::app {
namespace {

// The tokens at the beginning of most vocabularies are control tokens and single bytes.
constexpr TokenId kFirstPromptId = 1000;
constexpr int64_t kUsualVocabulary = 32000;

load::IdRange ids_below(int64_t vocabulary) {
  const auto end = static_cast<TokenId>(std::max<int64_t>(vocabulary, 1));
  return {.first = end > 2 * kFirstPromptId ? kFirstPromptId : 0, .end = end};
}

// A target and what keeps it alive.
struct Aim {
  std::optional<Mill> mill;
  std::unique_ptr<MountedModel> mounted;
  std::unique_ptr<load::Target> target;
  std::string where, model;
};

// Runs one task of an HTTP target before the load begins.
template <class R>
R settle(net::EventLoop& loop, Task<R> task) {
  std::optional<R> outcome;
  loop.start([](Task<R> work, std::optional<R>& into) -> Task<void> {
    into = co_await std::move(work);
  }(std::move(task), outcome));
  loop.run();
  return std::move(*outcome);
}

Result<Aim> aim_at_http(net::EventLoop& loop, const LoadArguments& arguments,
                        const std::string& model, const LoadPlan& plan, const Settings& settings) {
  MILL_TRY(const net::HttpUrl url, net::parse_http_url(arguments.http));
  load::HttpTargetOptions options{.server = url,
                                  .api_key = settings.text("api-key"),
                                  .model = model,
                                  .endpoint = arguments.endpoint == "chat"
                                                  ? load::Endpoint::kChat
                                                  : load::Endpoint::kCompletions,
                                  .as_text = arguments.prompt_as == "text",
                                  .seed = arguments.seed,
                                  .temperature = arguments.temperature,
                                  .ignore_eos = !arguments.stop_at_end,
                                  .unique_salts = arguments.unique_salts,
                                  .extra = arguments.body};
  options.limits.stall_time = plan.how.patience;
  MILL_TRY(load::HttpTarget target, load::HttpTarget::make(std::move(options)));
  const Instant deadline = now() + plan.how.patience;
  const auto models = settle(loop, target.models(deadline));
  if (!models && (model.empty() || models.error().code == Code::kIo)) return fail(models.error());
  if (model.empty()) {
    if (models->ids.empty()) {
      return fail(Code::kNotFound, "the server lists no model: name one", "model");
    }
    target.options().model = models->ids.front();
  }
  const int64_t told = models ? models->vocabulary : 0;
  target.options().ids = ids_below(arguments.vocabulary > 0 ? arguments.vocabulary
                                   : told > 0               ? told
                                                            : kUsualVocabulary);
  if (target.options().as_text && arguments.prompts.empty()) {
    MILL_TRY_DO(settle(loop, target.measure_words(deadline)));
  }
  Aim aim{.where = arguments.http, .model = target.options().model};
  aim.target = std::make_unique<load::HttpTarget>(std::move(target));
  return aim;
}

Result<Aim> aim_at_engine(const LoadArguments& arguments, const std::string& model,
                          const Settings& settings) {
  if (!arguments.prompts.empty()) {
    return fail(Code::kUnsupported, "--prompts are texts: they go over --http", "prompts");
  }
  if (model.empty()) return fail(Code::kInvalid, "name the model to load, or give --http", "model");
  Aim aim{.where = "engine"};
  MILL_TRY(aim.mill, make_mill(settings));
  MILL_TRY(aim.mounted, MountedModel::mount(model, *aim.mill, settings, part_of_one(settings)));
  const gateway::ServedModel& served = aim.mounted->served();
  const auto size = static_cast<int64_t>(served.tokenizer->size());
  load::WorkerTargetOptions options{
      .ids = ids_below(arguments.vocabulary > 0 ? std::min(arguments.vocabulary, size) : size),
      .seed = arguments.seed,
      .temperature = arguments.temperature,
      .unique_salts = arguments.unique_salts};
  if (arguments.stop_at_end) {
    const auto ends = served.tokenizer->ends_of_generation();
    options.stop_tokens.assign(ends.begin(), ends.end());
  }
  aim.model = served.id;
  aim.target = std::make_unique<load::WorkerTarget>(*served.worker, std::move(options));
  return aim;
}

// Joules of a run: from the machine's counters, or from a power that the user gave.
class Energy {
 public:
  explicit Energy(double watts) : watts_(watts) {
    if (watts > 0) {
      words_ = fmt::format("{:g} W as given", watts);
      return;
    }
    Result<device::PowerMeter> meter = device::PowerMeter::open();
    words_ =
        meter ? meter->source() : meter.error().message + ": give the machine's power with --watts";
    if (meter) meter_ = *std::move(meter);
  }

  const std::string& words() const { return words_; }
  void begin() { before_ = meter_ ? meter_->joules() : 0; }
  void tick() {
    if (meter_) meter_->joules();
  }
  // Since begin(), which was so long ago.
  std::optional<double> joules(double seconds) {
    if (watts_ > 0) return watts_ * seconds;
    return meter_ ? std::optional(meter_->joules() - before_) : std::nullopt;
  }

 private:
  double watts_;
  double before_ = 0;
  std::optional<device::PowerMeter> meter_;
  std::string words_;
};

void show_progress(const load::Progress& progress) {
  fmt::print(stderr, "\r\x1b[K{:.0f} s: {} done, {} failed, {} in flight, {:.0f} tokens/s",
             progress.seconds, progress.done, progress.failed, progress.in_flight,
             progress.seconds > 0 ? static_cast<double>(progress.tokens) / progress.seconds : 0);
  std::fflush(stderr);
}

Status write_file(const std::string& path, std::string_view text, bool append) {
  if (path.empty()) return {};
  std::ofstream out(path, append ? std::ios::app : std::ios::trunc);
  out << text;
  out.close();
  if (!out) return fail(Code::kIo, fmt::format("cannot write {}", path));
  return {};
}

// One point: a warm-up that doesn't count, and the run.
load::RunLog run_point(net::EventLoop& loop, const LoadPlan& plan, size_t point,
                       load::Target& target, Energy& energy) {
  if (plan.warmup > 0) load::drive(loop, target, plan.warm_asks(point), plan.warm_up());
  load::Drive how = plan.how_at(point);
  int64_t ticks = 0;
  const bool terminal = on_terminal();
  how.on_tick = [&](const load::Progress& progress) {
    if (++ticks % 10 != 0) return;
    energy.tick();
    if (terminal) show_progress(progress);
  };
  energy.begin();
  load::RunLog run = load::drive(loop, target, plan.asks(point), how);
  if (terminal && ticks >= 10) fmt::print(stderr, "\r\x1b[K");
  return run;
}

}  // namespace

Status bench_load(const LoadArguments& given, const std::string& model, const Settings& settings) {
  LoadArguments arguments = given;
  if (arguments.seed == 0) arguments.seed = static_cast<uint64_t>(unix_seconds());
  MILL_TRY(const LoadPlan plan, LoadPlan::make(arguments));
  raise_open_file_limit();
  net::EventLoop loop;  // outlives the target's connections
  MILL_TRY(Aim aim, arguments.http.empty() ? aim_at_engine(arguments, model, settings)
                                           : aim_at_http(loop, arguments, model, plan, settings));
  Energy energy(arguments.watts);
  load::Report report{.target = aim.where,
                      .model = aim.model,
                      .shape = plan.words,
                      .seed = arguments.seed,
                      .slo = plan.slo,
                      .energy = energy.words()};
  load::RunLog last;
  MILL_TRY_DO(write_file(arguments.save, "", false));
  for (size_t i = 0; i < plan.loads.size(); ++i) {
    last = run_point(loop, plan, i, *aim.target, energy);
    load::Summary point = load::summarise(last, plan.slo);
    point.load = plan.loads[i];
    point.joules = energy.joules(point.seconds);
    report.points.push_back(std::move(point));
    MILL_TRY_DO(write_file(arguments.save, load::records_jsonl(last), true));
  }
  fmt::print("{}\n", settings.on("json") ? load::report_json(report) : load::report_text(report));
  if (!arguments.svg.empty()) {
    const bool sweep = report.points.size() > 1;
    MILL_TRY_DO(write_file(arguments.svg,
                           sweep ? load::plot_sweep(report) : load::plot_run(report, last), false));
  }
  const bool any = std::any_of(report.points.begin(), report.points.end(),
                               [](const load::Summary& point) { return point.ok > 0; });
  if (!any) {
    const auto& failures = report.points.front().failures;
    return fail(Code::kIo, failures.empty()
                               ? "no request was asked"
                               : "no request was answered: " + failures.front().example);
  }
  return {};
}

}  // namespace mill::app
