#include "gpuctl/fence/credentials.hpp"

#include <algorithm>
#include <array>
#include <string_view>

namespace gpuctl::fence {
namespace {

struct Credential {
  std::string_view name;  // whole, or with a star its beginning
};

constexpr std::array<Credential, 17> kPilots = {{
    {"X509_USER_PROXY"},           // grid proxy: a file
    {"X509_USER_CERT"},            // and the pilot's long-lived pair
    {"X509_USER_KEY"},             //
    {"BEARER_TOKEN"},              // WLCG bearer token discovery: the token itself,
    {"BEARER_TOKEN_FILE"},         // its file
    {"SCITOKENS_FILE"},            //
    {"_CONDOR_CREDS"},             // HTCondor: directory of the submitter's tokens
    {"_CONDOR_PRIVATE_*"},         //
    {"_CONDOR_SEC_*"},             // pool passwords and tokens by configuration
    {"SLURM_JWT"},                 // scontrol token: can submit and cancel for its user
    {"KRB5CCNAME"},                //
    {"SSH_AUTH_SOCK"},             // agents and buses act for the user
    {"SSH_AGENT_PID"},             //
    {"GPG_AGENT_INFO"},            //
    {"DBUS_SESSION_BUS_ADDRESS"},  //
    {"AWS_SECRET_ACCESS_KEY"},     // object storage of cloud sites
    {"AWS_SESSION_TOKEN"},         //
}};

bool is_pilots(std::string_view name) {
  return std::any_of(kPilots.begin(), kPilots.end(), [&](const Credential& each) {
    if (each.name.back() != '*') return name == each.name;
    const std::size_t length = each.name.size() - 1;
    return name.substr(0, length) == each.name.substr(0, length);
  });
}

std::string_view name_in(std::string_view entry) { return entry.substr(0, entry.find('=')); }

// META_VARIABLES names, with commas or spaces between, what JAliEn wants the payload to have.
std::vector<std::string> wanted_by_job(const std::vector<std::string>& environment) {
  constexpr std::string_view kMeta = "META_VARIABLES=";
  std::vector<std::string> names;
  for (const std::string& entry : environment) {
    if (entry.compare(0, kMeta.size(), kMeta) != 0) continue;
    std::string name;
    for (const char c : entry.substr(kMeta.size()) + ",") {
      if (c != ',' && c != ' ' && c != ':') {
        name += c;
      } else if (!name.empty()) {
        names.push_back(std::move(name));
        name.clear();
      }
    }
  }
  return names;
}

}  // namespace

std::vector<std::string> withhold_credentials(std::vector<std::string>& environment) {
  const std::vector<std::string> wanted = wanted_by_job(environment);
  std::vector<std::string> withheld;
  const auto is_withheld = [&](const std::string& entry) {
    const std::string name(name_in(entry));
    if (!is_pilots(name) || std::find(wanted.begin(), wanted.end(), name) != wanted.end())
      return false;
    withheld.push_back(name);
    return true;
  };
  environment.erase(std::remove_if(environment.begin(), environment.end(), is_withheld),
                    environment.end());
  std::sort(withheld.begin(), withheld.end());
  return withheld;
}

}  // namespace gpuctl::fence
