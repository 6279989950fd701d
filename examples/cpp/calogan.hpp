// Showers from a surrogate that `calogan export --onnx` wrote: all that is needed is in the file.
//
//   calogan::Sampler sampler("ecal30.onnx");
//   const calogan::Particle electron{event, 0, px, py, pz, x, y};       // std::uint64_t; float, [GeV] and [mm]
//   if (sampler.outside(electron).empty()) {
//     const std::vector<float> cells = sampler.sample(seed, {electron});  // [GeV]
//     for (const calogan::Hit& hit : sampler.hits(cells.data())) ...
//   }
//
// Needs ONNX Runtime (1.18 or newer) and nlohmann_json.
#pragma once

#include <onnxruntime_cxx_api.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <map>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "calogan_noise.hpp"

namespace calogan {

// Anything that is refused; the message says what, and where.
struct Error : std::runtime_error {
  using std::runtime_error::runtime_error;
};

// An incident particle at the front face.
struct Particle {
  std::uint64_t shower;    // with the seed, key of its noise: such as the event number
  std::uint64_t particle;  // index in its event: 0 where there is one; part of the key
  float px, py, pz;        // [GeV], z into the calorimeter
  float x = 0, y = 0;      // entry point [mm]; without effect on a model that does not know it
  int pdg = 0;             // PDG id; without effect on a model that is not told the type
};

// A cell above the threshold.
struct Hit {
  int layer, row, column;  // from 0: at the front, at the lowest x, at the lowest y
  float energy;            // [GeV]
};

// One read-out layer.
struct Layer {
  std::vector<double> x_edges, y_edges;  // [mm], ascending
  double depth;                          // distance from the front face at which a shower's centre is seen [mm]

  int rows() const { return static_cast<int>(x_edges.size()) - 1; }
  int columns() const { return static_cast<int>(y_edges.size()) - 1; }
};

// Incident particles that the surrogate is made for; the same checks as in calogan/physics/kinematics.py.
struct Domain {
  std::array<double, 2> momentum;          // |p| [GeV]
  double max_angle;                        // to the calorimeter's axis [radian]
  std::array<double, 2> entry_x, entry_y;  // [mm]
  double tolerance;                        // relative widening of the bounds, for float rounding

  // Why a particle is outside: empty if it is inside.
  std::string outside(const Particle& particle) const {
    const double px = particle.px, py = particle.py, pz = particle.pz;
    for (const float value : {particle.px, particle.py, particle.pz, particle.x, particle.y}) {
      if (!std::isfinite(value)) {  // each by itself: std::hypot may lose one
        return "not a number";
      }
    }
    const double across = std::hypot(px, py), size = std::hypot(px, py, pz);
    std::string reasons;
    const auto refuse = [&reasons](const char* reason) {
      reasons += (reasons.empty() ? "" : "; ") + std::string(reason);
    };
    if (!within(size, momentum, tolerance * std::abs(momentum[0]), tolerance * std::abs(momentum[1]))) {
      refuse("momentum");
    }
    if (!(pz > 0 && std::atan2(across, pz) <= max_angle * (1 + tolerance))) {
      refuse("angle");
    }
    if (!within(particle.x, entry_x, margin(entry_x), margin(entry_x)) ||
        !within(particle.y, entry_y, margin(entry_y), margin(entry_y))) {
      refuse("entry point");
    }
    return reasons;
  }

 private:
  static bool within(double value, const std::array<double, 2>& bounds, double below, double above) {
    return value >= bounds[0] - below && value <= bounds[1] + above;
  }
  double margin(const std::array<double, 2>& window) const {
    return tolerance * std::max({std::abs(window[0]), std::abs(window[1]), 1.0});
  }
};

// What the file says of itself.
struct Model {
  std::string bundle;                  // identity of the trained model; empty if the file does not say
  std::vector<std::string> condition;  // what the surrogate is told: momentum, direction, entry_point, particle
  std::vector<int> pdg;                // types of the particles it was trained with; empty if not known
  std::vector<int> particles;          // types that it is told, each by its place here; empty if it is told none
  Domain domain;
  std::map<int, Domain> domains;  // of the types whose own is narrower
  std::vector<Layer> layers;
  double threshold;  // [GeV]; fainter cells hold exactly 0
  std::size_t noise_size, cells;

  bool knows(const std::string& name) const {
    return std::find(condition.begin(), condition.end(), name) != condition.end();
  }

  // Place of a type among `particles`, past the last if it is not there; the only type need not be named.
  std::size_t number(int type) const {
    const bool only = particles.size() == 1 && type == 0;
    const auto found = only ? particles.begin() : std::find(particles.begin(), particles.end(), type);
    return static_cast<std::size_t>(found - particles.begin());
  }
};

// A particle moved into the entry window, and by how much its hits are to be moved back.
struct Placed {
  Particle particle;
  std::int64_t rows, columns;  // to be added to those of each hit: they then count from the trained grid's first cell
};

// Showers anywhere on a calorimeter that is larger than the trained grid, where all layers have cells of one size:
// Python's `sample(..., placement="cell")`, from calogan/sampler/placement.py.
// Of all points that are whole cells from the particle's, the one within half a cell of the window's middle is taken.
// The caller leaves out particles beside the calorimeter, and hits whose row or column is beyond its edge.
class CellPlacement {
 public:
  // Throws Error: cells of several sizes, an entry window smaller than a cell, or a model that knows no entry point.
  explicit CellPlacement(const Model& model)
      : x_(axis(model, window(model, &Domain::entry_x), &Layer::x_edges)),
        y_(axis(model, window(model, &Domain::entry_y), &Layer::y_edges)) {
    if (!model.knows("entry_point")) {
      throw Error("the model knows no entry point: where in a cell its showers start is not known");
    }
  }

  // Throws Error: an entry point that is not a number, or is more than a million cells away.
  Placed operator()(Particle particle) const {
    const std::int64_t rows = x_.move(particle.x), columns = y_.move(particle.y);
    return {particle, rows, columns};
  }

 private:
  struct Axis {
    double lowest, step;           // of the points that are taken; size of a cell [mm]
    std::array<double, 2> window;  // the trained one [mm]

    // Moves a point into the window; says by how many cells.
    std::int64_t move(float& point) const {
      const double offset = static_cast<double>(point) - lowest;
      if (!(std::abs(offset) < 1e6 * step)) {
        throw Error("the entry point " + std::to_string(point) + " mm is nowhere near the calorimeter");
      }
      const double cells = std::floor(offset / step + kRounding);  // a border's float may be on either side of it
      point = static_cast<float>(std::clamp(lowest + (offset - cells * step), window[0], window[1]));
      return static_cast<std::int64_t>(cells);
    }
  };

  static constexpr double kRounding = 1e-4;

  // The window that particles of all types may enter in.
  static std::array<double, 2> window(const Model& model, std::array<double, 2> Domain::*entry) {
    std::array<double, 2> common = model.domain.*entry;
    for (const auto& [type, domain] : model.domains) {
      common = {std::max(common[0], (domain.*entry)[0]), std::min(common[1], (domain.*entry)[1])};
    }
    return common;
  }

  static Axis axis(const Model& model, const std::array<double, 2>& window, std::vector<double> Layer::*edges) {
    const std::vector<double>& first = model.layers.at(0).*edges;
    const double step = (first.back() - first.front()) / static_cast<double>(first.size() - 1);
    for (const Layer& layer : model.layers) {
      for (std::size_t cell = 1; cell < (layer.*edges).size(); ++cell) {
        if (std::abs((layer.*edges)[cell] - (layer.*edges)[cell - 1] - step) > 1e-5 * step) {
          throw Error("showers can be placed where the cells of all layers are of one size only");
        }
      }
    }
    if (step > (window[1] - window[0]) * (1 + model.domain.tolerance)) {
      throw Error("the entry window of the model is smaller than a cell: its showers cannot be placed");
    }
    return {(window[0] + window[1] - step) / 2, step, window};
  }

  Axis x_, y_;
};

// Makes showers. `sample` and the rest may be called by several threads at once.
class Sampler {
 public:
  // path: ONNX file written by `calogan export`.
  // threads: of ONNX Runtime, for one call; 1 where the caller has threads of its own.
  // Throws Error: no such file, not such a file, or a library that is too old.
  explicit Sampler(const std::string& path, int threads = 1)
      : env_(environment()), session_(open(env_, path, threads)), model_(read(session_, path)) {
    const std::size_t at_once = std::size_t{115200} * static_cast<std::size_t>(std::max(threads, 1));
    block_ = std::max<std::size_t>(16, at_once / model_.cells);
  }

  const Model& model() const { return model_; }

  // Why a particle is outside the domain: empty if it is inside.
  std::string outside(const Particle& particle) const {
    if (model_.particles.empty()) {
      return model_.domain.outside(told(particle));
    }
    const std::size_t number = model_.number(particle.pdg);
    if (number == model_.particles.size()) {
      return "particle type";
    }
    const auto own = model_.domains.find(model_.particles[number]);
    return (own == model_.domains.end() ? model_.domain : own->second).outside(told(particle));
  }

  // Cell energies [GeV], each 0 or above the threshold: those of the first shower, then those of the second, ...
  // A shower depends on the seed and its own numbers alone, up to float rounding.
  // Throws Error: a particle is outside the domain.
  std::vector<float> sample(std::uint64_t seed, const std::vector<Particle>& particles) const {
    for (const Particle& particle : particles) {
      if (const std::string reason = outside(particle); !reason.empty()) {
        throw Error("particle " + std::to_string(particle.particle) + " of shower " + std::to_string(particle.shower) +
                    " is outside the domain in " + reason);
      }
    }
    std::vector<float> cells(particles.size() * model_.cells);
    for (std::size_t start = 0; start < particles.size(); start += block_) {
      const std::size_t count = std::min(block_, particles.size() - start);
      run(seed, particles.data() + start, count, cells.data() + start * model_.cells);
    }
    return cells;
  }

  // Cells of one shower above the threshold, in the order of layer, row and column.
  std::vector<Hit> hits(const float* cells) const {
    std::vector<Hit> found;
    for (std::size_t layer = 0; layer < model_.layers.size(); ++layer) {
      for (int row = 0; row < model_.layers[layer].rows(); ++row) {
        for (int column = 0; column < model_.layers[layer].columns(); ++column, ++cells) {
          if (*cells > 0) {
            found.push_back({static_cast<int>(layer), row, column, *cells});
          }
        }
      }
    }
    return found;
  }

 private:
  // The particle as far as the model is told of it.
  Particle told(Particle particle) const {
    if (!model_.knows("entry_point")) {
      particle.x = static_cast<float>((model_.domain.entry_x[0] + model_.domain.entry_x[1]) / 2);
      particle.y = static_cast<float>((model_.domain.entry_y[0] + model_.domain.entry_y[1]) / 2);
    }
    return particle;
  }

  void run(std::uint64_t seed, const Particle* particles, std::size_t count, float* cells) const {
    const std::size_t columns = model_.particles.empty() ? 5 : 6;  // the last one is the number of the type
    std::vector<float> incident(count * columns), noise(count * model_.noise_size);
    for (std::size_t shower = 0; shower < count; ++shower) {
      const Particle one = told(particles[shower]);
      const std::array<float, 6> row{one.px, one.py, one.pz, one.x, one.y, static_cast<float>(model_.number(one.pdg))};
      std::copy_n(row.begin(), columns, incident.begin() + static_cast<std::ptrdiff_t>(shower * columns));
      standard_normal(seed, one.shower, one.particle, noise.data() + shower * model_.noise_size, model_.noise_size);
    }
    const auto memory = Ort::MemoryInfo::CreateCpu(OrtArenaAllocator, OrtMemTypeDefault);
    const auto tensor = [&memory, count](float* data, std::size_t width) {
      const std::array<std::int64_t, 2> shape{static_cast<std::int64_t>(count), static_cast<std::int64_t>(width)};
      return Ort::Value::CreateTensor<float>(memory, data, count * width, shape.data(), shape.size());
    };
    const std::array<Ort::Value, 2> inputs{tensor(incident.data(), columns), tensor(noise.data(), model_.noise_size)};
    Ort::Value output = tensor(cells, model_.cells);
    const std::array<const char*, 2> names{"incident", "noise"};
    const char* name = "cell_energy";
    session_.Run(Ort::RunOptions{nullptr}, names.data(), inputs.data(), inputs.size(), &name, &output, 1);
  }

  static Ort::Env environment() {
    if (OrtGetApiBase()->GetApi(ORT_API_VERSION) == nullptr) {
      throw Error(std::string("ONNX Runtime ") + OrtGetApiBase()->GetVersionString() +
                  " is older than the headers that this program was built with");
    }
    return Ort::Env(ORT_LOGGING_LEVEL_ERROR, "calogan");
  }

  static Ort::Session open(Ort::Env& env, const std::string& path, int threads) {
    Ort::SessionOptions options;
    options.SetIntraOpNumThreads(threads);
    options.SetInterOpNumThreads(1);
    try {
      return Ort::Session(env, path.c_str(), options);
    } catch (const Ort::Exception& error) {
      throw Error(path + ": ONNX Runtime cannot open it: " + error.what());
    }
  }

  static Domain bounds(const nlohmann::json& domain) {
    return {domain.at("momentum").get<std::array<double, 2>>(), domain.at("max_angle").get<double>(),
            domain.at("entry_x").get<std::array<double, 2>>(), domain.at("entry_y").get<std::array<double, 2>>(),
            domain.at("tolerance").get<double>()};
  }

  static Model read(const Ort::Session& session, const std::string& path) {
    const Ort::ModelMetadata metadata = session.GetModelMetadata();
    Ort::AllocatorWithDefaultOptions allocator;
    const auto find = [&](const std::string& key, const char* otherwise) {
      const auto value = metadata.LookupCustomMetadataMapAllocated(("calogan." + key).c_str(), allocator);
      return value ? std::string(value.get()) : std::string(otherwise);
    };
    if (const std::string format = find("format", "none"); format != "1") {
      throw Error(path + ": its format is " + format + ", expected 1; write it with `calogan export --onnx`");
    }
    try {
      const auto json = [&](const char* key, const char* otherwise = "") {
        return nlohmann::json::parse(find(key, otherwise));
      };
      const auto domain = json("domain"), geometry = json("geometry");
      Model model{find("bundle", ""),
                  json("condition").get<std::vector<std::string>>(),
                  json("pdg", "[]").get<std::vector<int>>(),
                  json("particles", "[]").get<std::vector<int>>(),
                  bounds(domain),
                  {},
                  {},
                  json("threshold").get<double>(),
                  json("noise_size").get<std::size_t>(),
                  json("cells").get<std::size_t>()};
      const auto narrower = domain.value("particles", nlohmann::json::object());
      for (const auto& [type, own] : narrower.items()) {
        model.domains.emplace(std::stoi(type), bounds(own));
      }
      std::size_t cells = 0;
      for (const auto& layer : geometry.at("layers")) {
        if (layer.contains("r_edges")) {
          throw Error(path + ": its calorimeter has rings of cells, which this header does not know");
        }
        model.layers.push_back({layer.at("x_edges").get<std::vector<double>>(),
                                layer.at("y_edges").get<std::vector<double>>(), layer.at("depth").get<double>()});
        cells += static_cast<std::size_t>(model.layers.back().rows() * model.layers.back().columns());
      }
      if (cells != model.cells) {
        throw Error(path + ": its geometry has " + std::to_string(cells) + " cells, its showers " +
                    std::to_string(model.cells));
      }
      return model;
    } catch (const nlohmann::json::exception& error) {
      throw Error(path + ": its metadata are damaged: " + error.what());
    }
  }

  Ort::Env env_;
  mutable Ort::Session session_;  // ONNX Runtime's Run may be called by several threads
  Model model_;
  std::size_t block_;  // showers at once: what lies between two operations then stays in the cache
};

}  // namespace calogan
