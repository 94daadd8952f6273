// A door for oracle scripts: renders one template per line of standard input.
//
// In:  {"template": "…", "variables": {…}, "now": 1768465800}
// Out: {"output": "…", "trusted": [[start, end], …]} (bytes) or {"error": "…", "code": "…"}
#include <boost/json.hpp>
#include <iostream>
#include <string>

#include "text/chat_template.h"

namespace {

namespace json = boost::json;

json::object refused(const mill::Error& error) {
  return {{"error", error.message}, {"code", std::string(mill::name(error.code))}};
}

json::object render(const json::object& request) {
  const auto made =
      mill::text::ChatTemplate::compile(std::string_view(request.at("template").as_string()));
  if (!made) return refused(made.error());
  const auto rendered =
      made->render(request.at("variables").as_object(), request.at("now").to_number<int64_t>());
  if (!rendered) return refused(rendered.error());
  json::array trusted;
  size_t at = 0;
  for (const mill::text::TextSpan& span : rendered->spans()) {
    if (span.trusted) trusted.push_back({at, at + span.text.size()});
    at += span.text.size();
  }
  return {{"output", rendered->text()}, {"trusted", std::move(trusted)}};
}

}  // namespace

int main() {
  std::string line;
  while (std::getline(std::cin, line)) {
    boost::system::error_code error;
    json::parse_options options;
    options.max_depth = 5000;  // the templates' own limit is to be seen
    const json::value request = json::parse(line, error, {}, options);
    if (error || !request.is_object()) {
      std::cerr << "template_lines: not a JSON object: " << error.message() << "\n";
      return 2;
    }
    std::cout << json::serialize(render(request.get_object())) << std::endl;
  }
  return 0;
}
