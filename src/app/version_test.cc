#include "app/version.h"

#include <gtest/gtest.h>

#include "app/heap.h"
#include "tensor/backend.h"

namespace mill::app {
namespace {

TEST(VersionTest, NamesVersionCommitAndCompiler) {
  const std::string text = version_text();
  EXPECT_EQ(text.rfind("tokenmill " + version_number() + " (commit ", 0), 0u) << text;
  EXPECT_NE(text.find("\ncompiler: "), std::string::npos) << text;
  EXPECT_EQ(text.find("(commit )"), std::string::npos) << text;
  EXPECT_NE(text.find(std::string(tensor::backend_names().front()) + " is chosen"),
            std::string::npos)
      << text;
  EXPECT_NE(text.find("allocator: " + allocator_name()), std::string::npos) << text;
}

}  // namespace
}  // namespace mill::app
