/// Whether a worker has time left: how much of the last tenth of a second its turns took.
struct LoadMeter {
    /// Microseconds.
    private static let window: UInt64 = 100_000

    /// Looked at only where somebody wants to know.
    var isOn = false
    /// Nine tenths of the last window were work.
    private(set) var isSaturated = false
    private var windowBegan: UInt64 = 0
    private var turnBegan: UInt64 = 0
    private var busy: UInt64 = 0

    mutating func turnBegins(_ now: UInt64) {
        self.turnBegan = now
        let passed = now &- self.windowBegan
        guard passed >= Self.window else { return }
        self.isSaturated = self.busy * 10 >= passed * 9 && passed < 10 * Self.window
        self.windowBegan = now
        self.busy = 0
    }

    mutating func turnEnds(_ now: UInt64) { self.busy &+= now &- self.turnBegan }
}
