// /v1/organization/projects
#include <cmath>

#include "gateway/desk/desk.h"
#include "gateway/desk/members.h"
#include "gateway/desk/rows.h"
#include "gateway/desk/shapes.h"
#include "gateway/openai/fields.h"

namespace mill::gateway::desk {
namespace {

using maas::Directory;

json::value shown(const Desk& desk, uint64_t project) {
  return desk.read([&](const Directory& d) { return show(d, *d.project(project)); });
}

Result<uint64_t> project_of(const Desk& desk) {
  return desk.read([&](const Directory& d) { return find_project(desk, d, desk.ids[0]); });
}

// tier and weight, where they are given.
Status read_share(const json::object& body, maas::Tier& tier, uint32_t& weight_milli) {
  const openai::Fields fields(body);
  MILL_TRY(const auto word, fields.string("tier"));
  if (word) {
    MILL_TRY(tier, maas::parse_tier(*word, "tier"));
  }
  MILL_TRY(const auto weight, fields.number("weight", 0.001, maas::kMaxWeightMilli / 1000.0));
  if (weight) weight_milli = static_cast<uint32_t>(std::lround(*weight * 1000));
  return {};
}

}  // namespace

Result<json::value> list_projects(Desk& desk) {
  MILL_TRY(const maas::PageRequest page, page_of(desk.query));
  return desk.read([&](const Directory& d) -> Result<json::value> {
    MILL_TRY(const uint64_t org, find_organization(desk, d));
    MILL_TRY(const auto projects, d.projects(org, page));
    return show_page(d, projects);
  });
}

Result<json::value> create_project(Desk& desk) {
  maas::CreateProject act;
  MILL_TRY(act.org, desk.read([&](const Directory& d) { return find_organization(desk, d); }));
  MILL_TRY(act.name, need_text(desk.body, "name"));
  MILL_TRY_DO(read_share(desk.body, act.tier, act.weight_milli));
  MILL_TRY(const maas::Done done, desk.act(std::move(act)));
  return shown(desk, done.serial);
}

Result<json::value> get_project(Desk& desk) {
  MILL_TRY(const uint64_t project, project_of(desk));
  return shown(desk, project);
}

Result<json::value> update_project(Desk& desk) {
  MILL_TRY(const uint64_t serial, project_of(desk));
  const maas::Project before = desk.read([&](const Directory& d) { return *d.project(serial); });
  maas::SetProjectShare share{serial, before.tier, before.weight_milli};
  MILL_TRY_DO(read_share(desk.body, share.tier, share.weight_milli));
  MILL_TRY(std::string name, text_or(desk.body, "name", before.name));
  const maas::RenameProject rename{serial, std::move(name)};
  const bool renames = rename.name != before.name;
  const bool shares = share.tier != before.tier || share.weight_milli != before.weight_milli;
  // What changes nothing is no act.
  MILL_TRY_DO(desk.may(rename));
  std::vector<maas::Act> acts;
  if (renames) acts.emplace_back(rename);
  if (shares) acts.emplace_back(share);
  MILL_TRY_DO(desk.act_together(std::move(acts)));
  return shown(desk, serial);
}

Result<json::value> archive_project(Desk& desk) {
  MILL_TRY(const uint64_t project, project_of(desk));
  MILL_TRY_DO(desk.act(maas::ArchiveProject{project}));
  return shown(desk, project);
}

}  // namespace mill::gateway::desk
