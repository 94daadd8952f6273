#include "app/command.h"

#include <CLI/CLI.hpp>
#include <cstdint>
#include <optional>

namespace mill::app {

Option& Option::required() {
  option_->required();
  return *this;
}

Option& Option::show_default() {
  option_->capture_default_str();
  return *this;
}

Option& Option::delimiter(char separator) {
  option_->delimiter(separator);
  return *this;
}

Option& Option::type_name(const std::string& word) {
  option_->type_name(word);
  return *this;
}

template <class T>
Option& Option::range(T lowest, T highest) {
  option_->check(CLI::Range(lowest, highest));
  return *this;
}
template Option& Option::range(int, int);
template Option& Option::range(int64_t, int64_t);
template Option& Option::range(double, double);

Option& Option::at_least_zero() {
  option_->check(CLI::NonNegativeNumber);
  return *this;
}

Option& Option::one_of(const std::vector<std::string>& words) {
  option_->check(CLI::IsMember(words));
  return *this;
}

Option& Option::each(const std::function<void(const std::string&)>& told) {
  option_->each(told);
  return *this;
}

template <class T>
Option Command::add_option(const std::string& names, T& into, const std::string& help) {
  return Option(app_.add_option(names, into, help));
}
template Option Command::add_option(const std::string&, int&, const std::string&);
template Option Command::add_option(const std::string&, int64_t&, const std::string&);
template Option Command::add_option(const std::string&, uint64_t&, const std::string&);
template Option Command::add_option(const std::string&, double&, const std::string&);
template Option Command::add_option(const std::string&, std::string&, const std::string&);
template Option Command::add_option(const std::string&, std::optional<int64_t>&,
                                    const std::string&);
template Option Command::add_option(const std::string&, std::optional<double>&, const std::string&);
template Option Command::add_option(const std::string&, std::vector<int>&, const std::string&);
template Option Command::add_option(const std::string&, std::vector<int64_t>&, const std::string&);
template Option Command::add_option(const std::string&, std::vector<double>&, const std::string&);
template Option Command::add_option(const std::string&, std::vector<std::string>&,
                                    const std::string&);

Option Command::add_flag(const std::string& names, bool& into, const std::string& help) {
  return Option(app_.add_flag(names, into, help));
}

}  // namespace mill::app
