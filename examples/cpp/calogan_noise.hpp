// Normal random numbers keyed by (seed, shower id, particle): those of calogan/noise.py, from NumPy's Philox stream.
//
// Needs nothing but C++17 and the 128-bit integers of GCC or Clang.
#pragma once

#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>

namespace calogan {

using Words = std::array<std::uint64_t, 4>;

// One block of Philox4x64-10.
// Source: Salmon et al., "Parallel random numbers: as easy as 1, 2, 3" (SC11), doi:10.1145/2063384.2063405.
inline Words philox(Words counter, std::array<std::uint64_t, 2> key) {
  __extension__ using Wide = unsigned __int128;
  for (int round = 0; round < 10; ++round) {
    const Wide first = Wide{0xD2E7470EE14C6C93u} * counter[0];
    const Wide second = Wide{0xCA5A826395121157u} * counter[2];
    counter = {static_cast<std::uint64_t>(second >> 64) ^ counter[1] ^ key[0], static_cast<std::uint64_t>(second),
               static_cast<std::uint64_t>(first >> 64) ^ counter[3] ^ key[1], static_cast<std::uint64_t>(first)};
    key[0] += 0x9E3779B97F4A7C15u;
    key[1] += 0xBB67AE8584CAA73Bu;
  }
  return counter;
}

// The stream of 32-bit integers of one particle: each 64-bit word of the stream gives its lower half first.
class Stream {
 public:
  Stream(std::uint64_t seed, std::uint64_t shower, std::uint64_t particle)
      : key_{seed, shower}, counter_{0, 0, particle, 0} {}

  std::uint32_t next() {
    if (used_ == 8) {
      ++counter_[0];  // before the first block, too, as NumPy does
      words_ = philox(counter_, key_);
      used_ = 0;
    }
    const std::uint64_t word = words_[used_ / 2];
    return static_cast<std::uint32_t>(used_++ % 2 == 0 ? word : word >> 32);
  }

 private:
  std::array<std::uint64_t, 2> key_;
  Words counter_, words_{};
  unsigned used_ = 8;
};

// Standard normal numbers of one shower, by Box and Muller in single precision.
//
// seed, shower: the key; two showers with the same key and particle are the same noise.
// particle: index of the particle in its event, 0 where there is one.
// numbers: where the `size` numbers go.
inline void standard_normal(std::uint64_t seed, std::uint64_t shower, std::uint64_t particle, float* numbers,
                            std::size_t size) {
  const auto unit = static_cast<float>(2 * 3.14159265358979323846 / 4294967296.0);
  const std::size_t half = (size + 1) / 2;
  Stream stream(seed, shower, particle);
  for (std::size_t index = 0; index < half; ++index) {
    const float uniform = (static_cast<float>(stream.next()) + 1.0f) * 0x1p-32f;
    numbers[index] = std::sqrt(-2.0f * std::log(uniform));
  }
  for (std::size_t index = 0; index < half; ++index) {
    const float angle = static_cast<float>(static_cast<std::int32_t>(stream.next())) * unit;
    const float radius = numbers[index];
    numbers[index] = radius * std::cos(angle);
    if (half + index < size) {
      numbers[half + index] = radius * std::sin(angle);
    }
  }
}

}  // namespace calogan
