// How many times more than planned something takes, as measurements say it, made slow to believe:
// noise never changes it, what lasts does. Pure.
#pragma once

namespace stagger::placement {

class Drift {
 public:
  static constexpr double kMore = 1.15;   // a measurement so much over what is believed counts
  static constexpr int kMoreInARow = 2;   // so many of them are believed
  static constexpr double kLess = 0.8;    // likewise for less, which takes longer to believe
  static constexpr int kLessInARow = 10;  //
  static constexpr double kMost = 1'000;  // times

  // The factor to plan with; never under 1, since a plan's own measurements are never undercut.
  double factor() const { return factor_; }

  // One more measurement: `times` what was planned. Whether factor() is another now.
  bool Take(double times);

 private:
  double factor_ = 1;
  double next_ = 1;  // what the measurements in a row come to
  int more_ = 0;
  int less_ = 0;
};

}  // namespace stagger::placement
