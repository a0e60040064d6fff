// Reading a verb's arguments, and saying what is wrong with them in one line.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace CLI {
class App;
}

namespace stagger::cli {

inline constexpr int kExitOk = 0;
inline constexpr int kExitFailed = 1;
inline constexpr int kExitUsage = 2;
inline constexpr int kExitInterrupted = 130;  // Ctrl-C or SIGTERM before the work was done

using Arguments = std::vector<std::string>;

// "stagger: MESSAGE" on stderr, newlines within the message flattened.
void PrintError(std::string_view message);

// nullopt: parsed, go on. Otherwise the exit code: help was asked for and printed, or the arguments
// are wrong and the reason was printed.
std::optional<int> ParseArguments(CLI::App& app, const Arguments& arguments);

// For options that must be finite and > 0.
std::string CheckPositive(const std::string& text);
// Finite and >= 0.
std::string CheckNotNegative(const std::string& text);

// The socket asked for, else the default one; absolute either way.
std::string SocketPath(const std::string& option);

}  // namespace stagger::cli
