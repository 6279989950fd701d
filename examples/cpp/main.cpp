// Showers for the particles of a table, as a table of hits.
#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <exception>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <limits>
#include <map>
#include <set>
#include <sstream>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "calogan.hpp"

namespace {

constexpr const char* kUsage =
    "usage: calogan_showers GRAPH.onnx PARTICLES OUTPUT SEED [THREADS]\n"
    "\n"
    "  PARTICLES  a table with the columns id, px, py, pz [GeV], x, y [mm], named in its first line; also particle,\n"
    "             if there are several to an id, and pdg, if particles of other types are to be left out or the\n"
    "             model makes showers of several types; commas or blanks stand between columns\n"
    "  OUTPUT     the hits: id, particle, layer, row, column, energy [GeV]; particles outside the domain are left out\n"
    "             and listed in OUTPUT.outside.csv\n"
    "  SEED       from 0 to 2**64 - 1; a shower depends on the seed, its id and its particle alone\n"
    "  THREADS    of ONNX Runtime, 1 or more; by default 1\n";
constexpr std::size_t kChunk = 1000;

struct Row {
  calogan::Particle particle;
  std::string id, text;
};

std::vector<std::string> split(std::string line) {
  for (char& letter : line) {
    letter = letter == ',' || letter == '\t' || letter == '\r' ? ' ' : letter;
  }
  std::istringstream words(line);
  std::vector<std::string> found;
  for (std::string word; words >> word;) {
    found.push_back(word);
  }
  return found;
}

[[noreturn]] void refuse(const std::string& text, const std::string& what) {
  throw calogan::Error(what + " is '" + text + "', which is not a number of its kind");
}

template <typename Number>
Number parse(const std::string& text, const std::string& what) {
  const bool plus = text.size() > 1 && text[0] == '+' && text[1] != '-';  // std::from_chars takes none
  const char *begin = text.data() + (plus ? 1 : 0), *stop = text.data() + text.size();
  Number number{};
  const auto [end, fault] = std::from_chars(begin, stop, number);
  if (fault != std::errc{} || end != stop) {
    refuse(text, what);
  }
  return number;
}

// As a double first: a float's std::from_chars refuses numbers that are too small for one, which are 0.
float parse_real(const std::string& text, const std::string& what) {
  const double number = parse<double>(text, what);
  if (std::isfinite(number) && std::abs(number) > static_cast<double>(std::numeric_limits<float>::max())) {
    refuse(text, what);
  }
  return static_cast<float>(number);
}

int parse_threads(const std::string& text) {
  const int threads = parse<int>(text, "THREADS");
  if (threads < 1) {
    throw calogan::Error("THREADS is '" + text + "', expected 1 or more");
  }
  return threads;
}

// Ids are 64-bit integers; a negative one counts as its two's complement, as in calogan/noise.py.
std::uint64_t parse_id(const std::string& text, const std::string& what) {
  return text.rfind('-', 0) == 0 ? static_cast<std::uint64_t>(parse<std::int64_t>(text, what))
                                 : parse<std::uint64_t>(text, what);
}

std::map<std::string, std::size_t> find_columns(const std::string& header, const std::string& path,
                                                const calogan::Model& model) {
  const bool entry_point = model.knows("entry_point");
  std::set<std::string> wanted{"id", "px", "py", "pz"}, allowed{"particle", "pdg"};
  if (entry_point) {
    wanted.insert({"x", "y"});
  }
  if (model.particles.size() > 1) {
    wanted.insert("pdg");
  }
  std::map<std::string, std::size_t> columns;
  for (const std::string& name : split(header)) {
    if (wanted.count(name) + allowed.count(name) == 0) {
      throw calogan::Error(path + ":1: unknown column '" + name + "'; this model needs " +
                           (entry_point ? "id, px, py, pz, x and y" : "id, px, py and pz"));
    }
    if (!columns.emplace(name, columns.size()).second) {
      throw calogan::Error(path + ":1: column '" + name + "' is there twice");
    }
  }
  for (const std::string& name : wanted) {
    if (columns.count(name) == 0) {
      throw calogan::Error(path + ":1: the first line names no column '" + name + "'");
    }
  }
  return columns;
}

std::vector<Row> read_particles(const std::string& path, const calogan::Model& model) {
  std::ifstream file(path);
  std::string line;
  if (!file || !std::getline(file, line)) {
    throw calogan::Error(path + ": cannot be read, or is empty");
  }
  const auto columns = find_columns(line, path, model);
  std::vector<Row> rows;
  std::set<std::pair<std::uint64_t, std::uint64_t>> keys;
  for (std::size_t number = 2; std::getline(file, line); ++number) {
    const std::vector<std::string> words = split(line);
    const std::string place = path + ":" + std::to_string(number) + ": ";
    if (words.empty()) {
      continue;
    }
    if (words.size() != columns.size()) {
      throw calogan::Error(place + "has " + std::to_string(words.size()) + " values, the first line names " +
                           std::to_string(columns.size()));
    }
    const auto word = [&](const char* name) { return words[columns.at(name)]; };
    const auto real = [&](const char* name) { return parse_real(word(name), place + name); };
    Row row{{parse_id(word("id"), place + "id"), 0, real("px"), real("py"), real("pz")}, word("id"), line};
    if (columns.count("particle") != 0) {
      row.particle.particle = parse<std::uint64_t>(word("particle"), place + "particle");
    }
    if (columns.count("pdg") != 0) {
      row.particle.pdg = parse<int>(word("pdg"), place + "pdg");
    }
    if (model.knows("entry_point")) {
      row.particle.x = real("x");
      row.particle.y = real("y");
    }
    if (!keys.emplace(row.particle.shower, row.particle.particle).second) {
      throw calogan::Error(place + "id " + row.id + " and its particle are there twice; the showers would share noise");
    }
    rows.push_back(row);
  }
  return rows;
}

std::string reason_to_leave_out(const calogan::Sampler& sampler, const Row& row) {
  const std::vector<int>& known = sampler.model().pdg;
  const int pdg = row.particle.pdg;
  if (pdg != 0 && !known.empty() && std::find(known.begin(), known.end(), pdg) == known.end()) {
    return "particle type";
  }
  return sampler.outside(row.particle);
}

// A file that appears when it is complete.
class Table {
 public:
  Table(std::string path, const std::string& header) : path_(std::move(path)), file_(path_ + ".part") {
    if (!(file_ << header << '\n')) {
      throw calogan::Error(path_ + ": cannot be written");
    }
  }
  Table(const Table&) = delete;
  Table& operator=(const Table&) = delete;
  ~Table() {
    std::error_code ignored;  // after `finish` there is nothing to remove
    std::filesystem::remove(path_ + ".part", ignored);
  }

  std::ofstream& stream() { return file_; }

  void finish() {
    file_.close();
    if (!file_) {
      throw calogan::Error(path_ + ": cannot be written");
    }
    std::filesystem::rename(path_ + ".part", path_);
  }

 private:
  std::string path_;
  std::ofstream file_;
};

void write_hits(const calogan::Sampler& sampler, std::uint64_t seed, const std::vector<Row>& rows, std::ostream& out) {
  for (std::size_t start = 0; start < rows.size(); start += kChunk) {
    const std::size_t stop = std::min(start + kChunk, rows.size());
    std::vector<calogan::Particle> particles;
    for (std::size_t index = start; index < stop; ++index) {
      particles.push_back(rows[index].particle);
    }
    const std::vector<float> cells = sampler.sample(seed, particles);
    for (std::size_t index = start; index < stop; ++index) {
      for (const calogan::Hit& hit : sampler.hits(cells.data() + (index - start) * sampler.model().cells)) {
        char line[128];
        std::snprintf(line, sizeof line, ",%llu,%d,%d,%d,%.9g\n",
                      static_cast<unsigned long long>(rows[index].particle.particle), hit.layer, hit.row, hit.column,
                      static_cast<double>(hit.energy));
        out << rows[index].id << line;
      }
    }
  }
}

// Moves the particles inside the domain to the front of the table, and lists the others.
std::size_t leave_out(const calogan::Sampler& sampler, std::vector<Row>& rows, std::ostream& list) {
  const auto outside = std::stable_partition(rows.begin(), rows.end(), [&](const Row& row) {
    const std::string reason = reason_to_leave_out(sampler, row);
    if (!reason.empty()) {
      list << reason << ",\"" << row.text << "\"\n";
    }
    return reason.empty();
  });
  const auto count = static_cast<std::size_t>(rows.end() - outside);
  rows.erase(outside, rows.end());
  return count;
}

void make_showers(const std::string& graph, const std::string& input, const std::string& output, std::uint64_t seed,
                  int threads) {
  if (std::filesystem::exists(output)) {
    throw calogan::Error(output + ": exists already; give another name");
  }
  const calogan::Sampler sampler(graph, threads);
  std::vector<Row> rows = read_particles(input, sampler.model());
  const std::string list = output + ".outside.csv";
  Table hits(output, "id,particle,layer,row,column,energy"), left_out(list, "reason,line");
  const std::size_t outside = leave_out(sampler, rows, left_out.stream());
  write_hits(sampler, seed, rows, hits.stream());
  hits.finish();
  if (outside > 0) {
    left_out.finish();
    std::cerr << "warning: " << outside << " particles are outside the domain and were left out; " << list
              << " lists them for the full simulation\n";
  } else {
    std::filesystem::remove(list);  // of an earlier run
  }
  std::cout << rows.size() << " showers, " << outside << " particles outside the domain\n" << output << '\n';
}

}  // namespace

int main(int count, char** arguments) {
  const std::vector<std::string> given(arguments + 1, arguments + count);
  if (given.size() < 4 || given.size() > 5) {
    std::cerr << kUsage;
    return 2;
  }
  try {
    const auto seed = parse<std::uint64_t>(given[3], "SEED");
    const int threads = given.size() > 4 ? parse_threads(given[4]) : 1;
    make_showers(given[0], given[1], given[2], seed, threads);
  } catch (const std::exception& error) {
    std::cerr << "error: " << error.what() << '\n';
    return 2;
  }
  return 0;
}
