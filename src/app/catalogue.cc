#include "app/catalogue.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>

#include "app/settings.h"
#include "app/yaml.h"
#include "net/checksum.h"
#include "shipped_catalogue.h"

namespace mill::app {
namespace {

constexpr size_t kLargestFile = 4 << 20;
constexpr double kMostBytes = 0x1p50;

// A YAML text being read: makes the sentences.
struct Reader {
  const std::string& name;

  tl::unexpected<Error> wrong(const YamlField& field, std::string_view what) const {
    return fail(Code::kInvalid, fmt::format("{}:{}: {} {}", name, field.line, field.key, what),
                field.key);
  }
  Result<std::string> text(const YamlField& field) const {
    if (!field.value.IsScalar() || field.value.Scalar().empty()) {
      return wrong(field, fmt::format("must be text, not {}",
                                      field.value.IsScalar() ? "empty" : shape_of(field.value)));
    }
    constexpr size_t kLongest = 2000;
    const std::string& text = field.value.Scalar();
    const bool control = std::any_of(text.begin(), text.end(),
                                     [](unsigned char c) { return c < 0x20 || c == 0x7f; });
    if (control || text.size() > kLongest)
      return wrong(field, "must be one line of printable text");
    return text;
  }
  // Text of letters, digits and the characters in `others`, at most 200, not beginning with '-' or
  // '.', without "..".
  Result<std::string> word(const YamlField& field, std::string_view others) const {
    MILL_TRY(std::string word, text(field));
    const bool plain = std::all_of(word.begin(), word.end(), [&](unsigned char c) {
      return std::isalnum(c) != 0 || others.find(static_cast<char>(c)) != std::string_view::npos;
    });
    const bool right = plain && word.size() <= 200 && word.front() != '-' && word.front() != '.' &&
                       word.front() != '/' && word.find("..") == std::string::npos;
    if (!right) {
      return wrong(field, fmt::format("must be letters, digits and {} only, not '{}'", others,
                                      word.substr(0, 60)));
    }
    return word;
  }
  Result<int64_t> number(const YamlField& field, Kind kind, double low, double high) const {
    MILL_TRY(const std::string given, text(field));
    const Setting shape{field.key, kind, 0, "", "", low, high};
    MILL_TRY(
        const Value value,
        parse_value(shape, {given}, fmt::format("{}:{}: {}", name, field.line, field.key), {}));
    return *std::get_if<int64_t>(&value);
  }
};

constexpr std::string_view kNameLetters = "._-";
constexpr std::string_view kPathLetters = "._-/+ ";

Result<std::string> repository_of(const Reader& reader, const YamlField& field) {
  MILL_TRY(std::string repository, reader.word(field, "._-/"));
  if (std::count(repository.begin(), repository.end(), '/') != 1 || repository.back() == '/') {
    return reader.wrong(field, "must be OWNER/NAME");
  }
  return repository;
}

Status read_source_field(const Reader& reader, const YamlField& field, Source& source) {
  if (field.key == "pip") {
    source.kind = SourceKind::kPip;
    MILL_TRY(source.requirement, reader.word(field, "._-=+!"));
    const size_t equals = source.requirement.find("==");
    if (equals == std::string::npos || equals == 0 || equals + 2 == source.requirement.size()) {
      return reader.wrong(field, "must be NAME==VERSION, so that it is always the same package");
    }
  } else if (field.key == "hf" || field.key == "modelscope") {
    source.kind = field.key == "hf" ? SourceKind::kHuggingFace : SourceKind::kModelScope;
    MILL_TRY(source.repository, repository_of(reader, field));
  } else if (field.key == "https") {
    source.kind = SourceKind::kHttps;
    MILL_TRY(source.url, reader.text(field));
    if (source.url.rfind("https://", 0) != 0)
      return reader.wrong(field, "must begin with https://");
  } else if (field.key == "path") {
    source.kind = SourceKind::kPath;
    MILL_TRY(source.path, reader.text(field));
  } else if (field.key == "member") {
    MILL_TRY(source.member, reader.word(field, kPathLetters));
  } else if (field.key == "file") {
    MILL_TRY(source.file, reader.word(field, kPathLetters));
  } else if (field.key == "revision") {
    MILL_TRY(source.revision, reader.word(field, kNameLetters));
  } else {
    return reader.wrong(field, "is no field of a source");
  }
  return {};
}

Result<Source> read_source(const Reader& reader, const YAML::Node& node) {
  MILL_TRY(const std::vector<YamlField> fields, yaml_fields(node, reader.name, "a source"));
  constexpr std::array<std::string_view, 5> kKinds = {"pip", "hf", "modelscope", "https", "path"};
  const auto names_kind = [&](const YamlField& field) {
    return std::find(kKinds.begin(), kKinds.end(), field.key) != kKinds.end();
  };
  Source source;
  const auto kinds = std::count_if(fields.begin(), fields.end(), names_kind);
  const std::string where = fmt::format("{}:{}: a source", reader.name, line_of(node));
  if (kinds != 1)
    return fail(Code::kInvalid,
                where + " must have exactly one of pip, hf, modelscope, https, path");
  for (const YamlField& field : fields) MILL_TRY_DO(read_source_field(reader, field, source));
  const bool hub =
      source.kind == SourceKind::kHuggingFace || source.kind == SourceKind::kModelScope;
  if ((source.kind == SourceKind::kPip) == source.member.empty()) {
    return fail(Code::kInvalid, where + " with pip, and no other, must have a member");
  }
  if (!hub && (!source.file.empty() || !source.revision.empty())) {
    return fail(Code::kInvalid,
                where + " has a file or a revision, which only hf and modelscope have");
  }
  if (hub && source.revision.empty())
    source.revision = source.kind == SourceKind::kHuggingFace ? "main" : "master";
  return source;
}

Status read_model_field(const Reader& reader, const YamlField& field, CatalogueModel& model) {
  if (field.key == "name") return {};
  if (field.key == "description") {
    MILL_TRY(model.description, reader.text(field));
  } else if (field.key == "file") {
    MILL_TRY(model.file, reader.word(field, "._-+"));
  } else if (field.key == "sha256") {
    MILL_TRY(model.sha256, reader.text(field));
    if (!net::is_sha256(model.sha256))
      return reader.wrong(field, "must be 64 lower-case hex digits");
  } else if (field.key == "size") {
    MILL_TRY(model.size, reader.number(field, Kind::kInteger, 1, kMostBytes));
  } else if (field.key == "licence") {
    MILL_TRY(model.licence, reader.text(field));
  } else if (field.key == "context") {
    MILL_TRY(model.context, reader.number(field, Kind::kInteger, 1, 1 << 30));
  } else if (field.key == "memory") {
    MILL_TRY(model.memory, reader.number(field, Kind::kBytes, 1, kMostBytes));
  } else if (field.key == "sources") {
    if (!field.value.IsSequence() || field.value.size() == 0)
      return reader.wrong(field, "must be a list of sources");
    model.sources.clear();
    for (const YAML::Node& node : field.value) {
      MILL_TRY(Source source, read_source(reader, node));
      model.sources.push_back(std::move(source));
    }
  } else {
    return reader.wrong(field, "is no field of a model");
  }
  return {};
}

// The sum and the size belong to one file: whoever changes the file and does not give them has
// none.
void forget_old_file(const CatalogueModel& before, CatalogueModel& after) {
  const bool other_file = after.file != before.file;
  const bool other_sum = after.sha256 != before.sha256;
  if (other_file && !other_sum) after.sha256.clear();
  if ((other_file || other_sum) && after.size == before.size) after.size.reset();
}

Status merge_model(const Reader& reader, const YAML::Node& node,
                   std::vector<CatalogueModel>& models) {
  MILL_TRY(const std::vector<YamlField> fields, yaml_fields(node, reader.name, "a model"));
  const auto named = std::find_if(fields.begin(), fields.end(),
                                  [](const YamlField& f) { return f.key == "name"; });
  const std::string where = fmt::format("{}:{}: a model", reader.name, line_of(node));
  if (named == fields.end()) return fail(Code::kInvalid, where + " must have a name");
  MILL_TRY(const std::string name, reader.word(*named, kNameLetters));
  auto at = std::find_if(models.begin(), models.end(),
                         [&](const CatalogueModel& m) { return m.name == name; });
  const bool fresh = at == models.end();
  if (fresh) at = models.insert(models.end(), CatalogueModel{.name = name});
  const CatalogueModel before = *at;
  for (const YamlField& field : fields) MILL_TRY_DO(read_model_field(reader, field, *at));
  if (!fresh) forget_old_file(before, *at);
  if (at->file.empty() || at->sources.empty())
    return fail(Code::kInvalid, where + " must have a file and sources");
  const auto same_file = std::count_if(models.begin(), models.end(),
                                       [&](const CatalogueModel& m) { return m.file == at->file; });
  if (same_file > 1) {
    return fail(Code::kInvalid,
                fmt::format("{} has the file of another model, {}", where, at->file));
  }
  return {};
}

}  // namespace

std::string describe(const Source& source) {
  switch (source.kind) {
    case SourceKind::kPip:
      return "the Python package " + source.requirement;
    case SourceKind::kHuggingFace:
      return "Hugging Face " + source.repository;
    case SourceKind::kModelScope:
      return "ModelScope " + source.repository;
    case SourceKind::kHttps:
      return source.url;
    default:
      return "the local file " + source.path;
  }
}

std::string_view shipped_catalogue() {
  return kShippedCatalogue;
}

Result<Catalogue> Catalogue::load(const std::filesystem::path& path, bool must_exist) {
  Catalogue catalogue;
  MILL_TRY_DO(catalogue.merge(std::string(shipped_catalogue()), "the catalogue of the program"));
  if (path.empty()) return catalogue;
  const auto text = read_small_file(path, kLargestFile);
  if (!text) {
    if (text.error().code == Code::kNotFound && !must_exist) return catalogue;
    return fail(text.error());
  }
  MILL_TRY_DO(catalogue.merge(*text, path.string()));
  return catalogue;
}

Status Catalogue::merge(const std::string& text, const std::string& name) {
  MILL_TRY(const YAML::Node root, parse_yaml(text, name));
  if (root.IsNull()) return {};
  const Reader reader{name};
  MILL_TRY(const std::vector<YamlField> top, yaml_fields(root, name, "a catalogue"));
  std::vector<CatalogueModel> merged = models_;
  std::string default_model = default_model_;
  for (const YamlField& part : top) {
    if (part.key == "default") {
      MILL_TRY(default_model, reader.word(part, kNameLetters));
      continue;
    }
    if (part.key != "models")
      return reader.wrong(part, "is no part of a catalogue: 'default' and 'models' are");
    if (!part.value.IsSequence()) return reader.wrong(part, "must be a list of models");
    for (const YAML::Node& node : part.value) MILL_TRY_DO(merge_model(reader, node, merged));
  }
  const bool known = std::any_of(merged.begin(), merged.end(),
                                 [&](const CatalogueModel& m) { return m.name == default_model; });
  if (!default_model.empty() && !known) {
    return fail(Code::kInvalid, fmt::format("{}: the default model '{}' is not in the catalogue",
                                            name, default_model));
  }
  models_ = std::move(merged);
  default_model_ = std::move(default_model);
  return {};
}

const CatalogueModel* Catalogue::find(std::string_view name) const {
  const auto at = std::find_if(models_.begin(), models_.end(),
                               [&](const CatalogueModel& m) { return m.name == name; });
  return at == models_.end() ? nullptr : &*at;
}

const CatalogueModel* Catalogue::find_file(std::string_view file) const {
  const auto at = std::find_if(models_.begin(), models_.end(),
                               [&](const CatalogueModel& m) { return m.file == file; });
  return at == models_.end() ? nullptr : &*at;
}

}  // namespace mill::app
